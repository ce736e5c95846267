/** Options that every command takes. */
export interface GlobalOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly server: string | undefined;
  readonly configDir: string | undefined;
}
