import { HoopishError } from "@hoopish/protocol";
import type { StringMask } from "./body-mask.ts";
import { type MediaType, mediaProblem, parseMediaType } from "./media-type.ts";

const uninspectable = (why: string): HoopishError =>
  new HoopishError("response_uninspectable", `it cannot be looked into: ${why}`);

/** What masks a part. `name`: of a part that is no file. */
export type ChoosePart = (media: MediaType, name: string | undefined) => StringMask;

/** `multipart/form-data` (RFC 7578), whole and UTF-8: each part by its own type; a file whose type says nothing by its name. */
export function maskMultipart(body: string, boundary: string | undefined, choose: ChoosePart): string {
  if (boundary === undefined || boundary === "" || boundary.length > 70) throw uninspectable("it has no boundary");
  const pieces = body.split(`--${boundary}`);
  if (pieces.length < 3 || !(pieces.at(-1) ?? "").startsWith("--")) throw uninspectable("its parts do not end");
  return pieces
    .map((piece, index) => (index === 0 || index === pieces.length - 1 ? piece : maskPart(piece, choose)))
    .join(`--${boundary}`);
}

function maskPart(part: string, choose: ChoosePart): string {
  const found = /^(\r\n(?:[^\r\n]*\r\n)*?)\r\n([\s\S]*)\r\n$/.exec(part);
  if (found === null) throw uninspectable("a part of it has no end of its head");
  const [, head = "", content = ""] = found;
  const name = /^content-disposition:.*\bname="([^"]*)"/im.exec(head)?.[1] ?? "";
  const file = /^content-disposition:.*\bfilename="([^"]*)"/im.exec(head)?.[1];
  const type = /^content-type:\s*(.+)$/im.exec(head)?.[1]?.trim() ?? typeOfFile(file);
  const media = parseMediaType(type);
  const problem = mediaProblem(media);
  if (problem !== undefined || media.type.startsWith("multipart/"))
    throw uninspectable(`in a part of it ${problem ?? "are parts"}`);
  const mask = choose(media, file === undefined ? name : undefined);
  return `${head}\r\n${mask.push(content)}${mask.end()}\r\n`;
}

/** What a file is by its name, where nothing else says it. */
function typeOfFile(file: string | undefined): string {
  if (file === undefined) return "text/plain";
  const ending = /\.([a-z0-9]{1,8})$/i.exec(file)?.[1]?.toLowerCase();
  if (ending === "jsonl" || ending === "ndjson") return "application/jsonl";
  if (ending === "json") return "application/json";
  return ending === "txt" || ending === "csv" || ending === "md" || ending === "tsv"
    ? "text/plain"
    : "application/octet-stream";
}
