import { isPrivateTransport, parseHttpUrl } from "./endpoints.ts";
import type { Finding } from "./mistake.ts";
import type { View } from "./view.ts";

/** Notices cross no network in the clear, and a webhook can always be told from a forged one. */
export function checkNotify(view: View): Finding[] {
  return view.items(["notify"]).flatMap((endpoint) => {
    const findings: Finding[] = [];
    const url = parseHttpUrl(view.text([...endpoint, "url"]) ?? "");
    if (url !== undefined && !isPrivateTransport(url)) {
      findings.push({
        path: [...endpoint, "url"],
        message: "must be https: notices name people (http is for this machine only)",
      });
    }
    const format = view.text([...endpoint, "format"]) ?? "webhook";
    const secret = view.has([...endpoint, "secret"]);
    if (format === "webhook" && !secret) {
      findings.push({ path: endpoint, message: "a webhook needs a secret, with which its messages are signed" });
    }
    if ((format === "slack" || format === "teams") && secret) {
      findings.push({
        path: [...endpoint, "secret"],
        message: "a secret belongs to format: webhook alone; here the address is the secret",
      });
    }
    if (format !== "slack" && view.has([...endpoint, "interactive"])) {
      findings.push({ path: [...endpoint, "interactive"], message: "buttons are for format: slack alone" });
    }
    return findings;
  });
}
