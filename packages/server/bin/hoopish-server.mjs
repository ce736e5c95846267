#!/usr/bin/env node
// Plain enough for any Node that may start it: an old one must get a sentence, not a syntax error.
const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  process.stderr.write(
    `hoopish-server: it needs Node 24 or newer; this is Node ${process.versions.node}\n  try: install Node 24, or run it through npm in its project\n`,
  );
  process.exitCode = 78;
} else {
  import("../dist/main.js").then((program) => program.main(process.argv));
}
