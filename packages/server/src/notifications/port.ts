/** Where an outbox remembers how far it has come. Durable when `set` resolves. */
export interface Cursor {
  /** Index in the log of the last record that was delivered or was not for this endpoint; undefined: it never began. */
  get(): number | undefined;
  set(index: number): Promise<void>;
}

/** One message to one endpoint. */
export interface Message {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** @returns the status of the answer. @throws HoopishError unreachable; no message holds more of the address than its origin */
export type Send = (message: Message, signal: AbortSignal) => Promise<number>;

/** Says to who pressed a button what became of it. Nobody waits for it. */
export type AnswerInChat = (
  endpoint: { readonly name: string; readonly url: string },
  responseUrl: string | undefined,
  words: string,
) => void;
