/** Bytes of a configuration, at most. A real one has some ten thousand. */
const MAX_CONFIG_BYTES = 1_048_576;

export type TextResult = { readonly text: string } | { readonly offset: number; readonly message: string };

/**
 * Characters by which a file may read otherwise in an editor than it does here: control characters, a carriage return
 * on its own (a new line to some editors, none to YAML), and those that turn the direction of writing.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is what it is for
const DECEPTIVE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]|\r(?!\n)|[\u202a-\u202e\u2066-\u2069]/;

/** Bytes → text: UTF-8 with or without a byte order mark, nothing that deceives the eye. */
export function decodeText(bytes: Uint8Array): TextResult {
  if (bytes.byteLength > MAX_CONFIG_BYTES) {
    return { offset: 0, message: `the file is larger than ${MAX_CONFIG_BYTES / 1_048_576} MiB` };
  }
  const text = decodeUtf8(bytes);
  if (text === undefined) {
    return { offset: 0, message: "the file is not UTF-8 text" };
  }
  const found = DECEPTIVE.exec(text);
  if (found === null) return { text };
  const code = (found[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return { offset: found.index, message: `the character U+${code} may not stand in a configuration` };
}

/** @returns undefined for bytes that are not UTF-8. A byte order mark is taken off. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
