/** Where a credential's text comes from. Only {@link Credential} reads it. */
export interface SecretSource {
  /**
   * The text now: at once where it is known to be current, else as a promise.
   * @throws CredentialError, or rejects with it; its message never quotes the text, a command's output or a file
   */
  read(): string | Promise<string>;
  /** The model server refused the credential: look again at the next read, though not more often than is sensible. */
  doubt(): void;
}

/** The credential cannot be had. The message is for the agent's own log and names files and programs, never values. */
export class CredentialError extends Error {
  override readonly name = "CredentialError";
}

export const fixedSource = (text: string): SecretSource => ({ read: () => text, doubt: () => {} });
