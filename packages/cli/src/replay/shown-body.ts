/**
 * What a person reads of a recorded body, as its bytes come: of a stream of events the text that models wrote, of a JSON
 * document the document in good order, of anything that is no text its size and first bytes. Everything in it is as
 * hostile as before: whoever prints it neutralises it.
 */
export interface BodyText {
  push(bytes: Buffer): string;
  end(): string;
}
