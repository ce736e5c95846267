/** What a description may have at most. A model server that says more is not listened to any longer. */
export const MAX_BYTES: number = 16 * 1_048_576;
export const MAX_FILES = 1_000;
export const MAX_SERVICES = 1_000;

/** The model server describes more than is taken. */
export class TooMuchError extends Error {
  override readonly name = "TooMuchError";
}

export const tooManyBytes = (): TooMuchError => new TooMuchError("it describes more than 16 MiB");
export const tooManyFiles = (): TooMuchError => new TooMuchError("it describes more than 1,000 files");
export const tooManyServices = (): TooMuchError => new TooMuchError("it has more than 1,000 services");
