#!/usr/bin/env node
// Runs under any Node that knows ES modules, so that an old one gets a sentence and not a syntax error: everything
// that needs Node 24 is behind the dynamic import below.
const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  process.stderr.write(
    `hoopish: Node ${process.versions.node} is too old, hoopish needs Node 24 or newer\n` +
      "  try: install Node 24 (https://nodejs.org), then run the same command again\n",
  );
  process.exitCode = 78;
} else {
  const { main } = await import("../dist/main.js");
  await main();
}
