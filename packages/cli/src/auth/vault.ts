/** Where the tokens of one server are kept. Each call is a whole: no reader ever sees half of a write. */
export interface Vault {
  readonly kind: VaultKind;
  read(): Promise<string | undefined>;
  write(secret: string): Promise<void>;
  /** @returns whether there was anything */
  remove(): Promise<boolean>;
}

export type VaultKind = "keychain" | "file";
