import type { OtherProtocols } from "../paths/other-protocols.ts";

interface SignIn {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

/** How a client signs in: straight with the database's user, through hoopish with whatever it likes. */
export function signIn(port: number, way: string, { postgres }: OtherProtocols): SignIn {
  const { database } = postgres;
  const { user, password } = way === "direct" ? postgres : { user: "me", password: "unused" };
  return { host: "127.0.0.1", port, database, user, password };
}
