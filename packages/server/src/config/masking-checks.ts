import { parseFieldPath } from "../masking/field-path.ts";
import { patternProblem } from "../masking/own-patterns.ts";
import { PII_TYPES } from "../masking/types.ts";
import { isPrivateTransport, parseHttpUrl } from "./endpoints.ts";
import type { Finding } from "./mistake.ts";
import type { View } from "./view.ts";

/** What the parts of a masking rule demand of each other. */
export function checkMasking(view: View): Finding[] {
  return view.items(["masking"]).flatMap((rule) => {
    const findings: Finding[] = [];
    if (!["detect", "fields", "patterns", "analyzer"].some((key) => view.has([...rule, key]))) {
      findings.push({
        path: rule,
        message: "this rule looks for nothing: give it detect, fields, patterns or an analyzer",
      });
    }
    const url = parseHttpUrl(view.text([...rule, "analyzer", "url"]) ?? "");
    if (url !== undefined && !isPrivateTransport(url)) {
      findings.push({
        path: [...rule, "analyzer", "url"],
        message: "must be https: it is sent what is to be masked (http is for this machine only)",
      });
    }
    for (const field of view.items([...rule, "fields"])) {
      const parsed = parseFieldPath(view.text(field) ?? "");
      if (typeof parsed === "string") findings.push({ path: field, message: `is no path: ${parsed}` });
    }
    for (const pattern of view.items([...rule, "patterns"])) {
      const problem = patternProblem(view.text([...pattern, "regex"]) ?? "x");
      if (problem !== undefined) findings.push({ path: [...pattern, "regex"], message: problem });
      const type = view.text([...pattern, "type"]) ?? "";
      if ((PII_TYPES as readonly string[]).includes(type) || type === "FIELD") {
        findings.push({ path: [...pattern, "type"], message: `${type} is a detector's own name: choose another` });
      }
    }
    return findings;
  });
}
