import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { HoopishError } from "@hoopish/protocol";

/**
 * Opens a compressed answer, because what is compressed cannot be inspected. The client's `accept-encoding` goes no further
 * than the server, so this is for model servers that compress all the same. Output is counted against the answer's limit
 * by the caller, so a small bomb cannot become a large answer.
 */
export interface AnswerDecoder {
  push(bytes: Buffer): void;
  end(done: () => void): void;
  close(): void;
}

export interface DecodedListener {
  onData(bytes: Buffer): void;
  onError(error: HoopishError): void;
}

const OPENERS = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
} as const;

/** @throws HoopishError response_uninspectable for an encoding that is not known, or several on one another */
export function decoderFor(encoding: string, listener: DecodedListener): AnswerDecoder {
  if (!Object.hasOwn(OPENERS, encoding)) {
    throw new HoopishError("response_uninspectable", "the model server's answer has an encoding that cannot be opened");
  }
  const opener = OPENERS[encoding as keyof typeof OPENERS]();
  let done: (() => void) | undefined;
  opener.on("data", (bytes: Buffer) => listener.onData(bytes));
  opener.on("end", () => done?.());
  opener.on("error", (cause) => {
    listener.onError(
      new HoopishError("response_uninspectable", "the model server's answer cannot be decompressed", { cause }),
    );
  });
  return {
    push: (bytes) => {
      opener.write(bytes);
    },
    end(finished) {
      done = finished;
      opener.end();
    },
    close: () => {
      opener.destroy();
    },
  };
}
