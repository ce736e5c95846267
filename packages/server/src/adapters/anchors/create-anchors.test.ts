import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { loadConfig } from "../../config/load.ts";
import { CA_PEM, changed, LOG_KEY, VAULT_KEY, WITNESS_VKEY } from "../../config/testing/sample.ts";
import { SampleLog } from "../../evidence/anchors/testing/sample-log.ts";
import { createAnchors } from "./create-anchors.ts";

it("makes the anchors of a configuration, in its order", async () => {
  const folder = mkdtempSync(join(tmpdir(), "hoopish-anchors-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const lines = `evidence:
  origin: gateway.bank.example/hoopish
  anchors:
    - { file: ./audit, required: true }
    - witness: { url: "http://127.0.0.1:1/w", vkey: "${WITNESS_VKEY}" }
    - timestamp: { url: "http://timestamp.bank.example/tsa", caFile: ca.pem, every: 1h }
`;
  const text = changed(/^evidence:.*\n/m, lines).replace(
    /^publicUrl.*\ntls.*\n/m,
    "publicUrl: http://127.0.0.1:8443\n",
  );
  writeFileSync(join(folder, "server.yaml"), text);
  writeFileSync(join(folder, "ca.pem"), CA_PEM);
  writeFileSync(join(folder, "log.key"), LOG_KEY);
  writeFileSync(join(folder, "vault.key"), VAULT_KEY);
  const config = loadConfig(join(folder, "server.yaml"), { env: {}, readFile: (path) => readFileSync(path) });
  const log = new SampleLog(3);
  const anchors = createAnchors(config, { consistency: log.consistency, now: Date.now });
  expect(anchors.map(({ name, everyMs, required }) => [name, everyMs, required])).toEqual([
    [`anchor file in ${join(folder, "audit")}`, 0, true],
    ["witness bank.example/audit at http://127.0.0.1:1", 60_000, false],
    ["timestamp authority http://timestamp.bank.example", 3_600_000, false],
  ]);
  const signal = AbortSignal.timeout(1_000);
  await anchors[0]?.publish(log.checkpoint(3), signal);
  expect(await anchors[0]?.newest(signal)).toBe(log.checkpoint(3).note);
});
