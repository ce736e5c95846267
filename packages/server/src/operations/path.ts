/**
 * Why a path is not in its normal form; undefined when it is. Servers decode, fold and join paths in their own ways, so a
 * path with two readings is refused: it would be judged by one and served by the other.
 */
export function pathProblem(path: string): string | undefined {
  if (!path.startsWith("/")) return "it does not begin with a slash";
  // Most paths: nothing to look at more closely.
  if (/^(?:\/[A-Za-z0-9_~:@!$&'()*+,=-]+(?:\.[A-Za-z0-9_~:@!$&'()*+,=-]+)*)+\/?$/.test(path) || path === "/")
    return undefined;
  if (/[^\x21-\x7e]/.test(path)) return "it holds characters that must be percent-encoded";
  if (/[\\#;"<>^`{|}[\]]/.test(path)) return "it holds a character that servers read in different ways";
  if (path.includes("//")) return "it holds an empty segment";
  return encodingProblem(path) ?? segmentProblem(path);
}

function encodingProblem(path: string): string | undefined {
  for (const [encoded] of path.matchAll(/%.{0,2}/g)) {
    if (!/^%[0-9A-Fa-f]{2}$/.test(encoded)) return "a percent-encoding is broken";
    const code = Number.parseInt(encoded.slice(1), 16);
    const char = String.fromCharCode(code);
    if (code < 0x20 || code === 0x7f) return "it holds an encoded control character";
    if (/[A-Za-z0-9._~-]/.test(char)) return "a character is encoded that needs no encoding";
    if (/[/\\%;:#?]/.test(char)) return "a character is encoded that some servers decode first";
  }
  try {
    decodeURIComponent(path);
    return undefined;
  } catch {
    return "its percent-encoding is not UTF-8";
  }
}

function segmentProblem(path: string): string | undefined {
  for (const segment of path.split("/")) {
    if (/^\.{1,2}$/.test(segment)) return "it holds a dot segment";
    if (segment.endsWith(".")) return "a segment ends with a dot";
  }
  return undefined;
}
