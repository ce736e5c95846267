#!/usr/bin/env node
// Nothing newer than Node 14 can parse, because here an older Node must still be able to say why it cannot go on.
const major = Number(process.versions.node.split(".")[0]);

if (major < 24) {
  process.stderr.write(`hoopish-agent needs Node 24 or newer; this is Node ${process.versions.node}\n`);
  process.exitCode = 78;
} else {
  import("../dist/main.js").catch((error) => {
    process.stderr.write(`hoopish-agent: cannot start: ${String(error)}\n`);
    process.exitCode = 1;
  });
}
