import { isPrivateTransport, parseHttpUrl } from "./endpoints.ts";
import type { Finding, Path } from "./mistake.ts";
import type { View } from "./view.ts";

const KINDS = ["file", "witness", "timestamp"] as const;

/** Each anchor is of one kind, none is there twice, and a witness cannot be played by somebody on the way. */
export function checkAnchors(view: View): Finding[] {
  const seen = new Set<string>();
  return view.items(["evidence", "anchors"]).flatMap((anchor) => {
    const kinds = KINDS.filter((kind) => view.has([...anchor, kind]));
    const [kind] = kinds;
    if (kind === undefined || kinds.length > 1) {
      return [{ path: anchor, message: "an anchor is one of these: file, witness, timestamp" }];
    }
    const place: Path = kind === "file" ? [...anchor, kind] : [...anchor, kind, "url"];
    return [...checkTwice(view, place, kind, seen), ...(kind === "witness" ? checkWitnessUrl(view, place) : [])];
  });
}

function checkTwice(view: View, path: Path, kind: string, seen: Set<string>): Finding[] {
  const text = view.text(path);
  if (text === undefined) return [];
  const known = seen.has(`${kind} ${text}`);
  seen.add(`${kind} ${text}`);
  return known ? [{ path, message: "another anchor above is this one" }] : [];
}

/** What a witness shows at the start decides whether the server signs. A timestamp needs no such care: it is signed anew. */
function checkWitnessUrl(view: View, path: Path): Finding[] {
  const url = parseHttpUrl(view.text(path) ?? "");
  if (url === undefined) return [];
  if (!isPrivateTransport(url)) {
    const message =
      "must be https: whoever stands on the way could show an older checkpoint (http is for this machine only)";
    return [{ path, message }];
  }
  if (url.search !== "" || url.hash !== "")
    return [{ path, message: "a witness's address has neither a query nor a fragment" }];
  return [];
}
