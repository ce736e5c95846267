/** The other end broke the protocol: nothing that it sends after this can be trusted to be a message. */
export class PostgresProtocolError extends Error {
  override readonly name = "PostgresProtocolError";
}
