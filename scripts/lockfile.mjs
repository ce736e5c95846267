// Completes package-lock.json with the optional packages of other platforms.
//
// npm leaves out an optional dependency of a platform that it does not run on when it has not seen it before
// (npm/cli#4828); `npm ci` on such a lockfile then refuses, and users of those platforms lack the package. This adds the
// missing entries: version, optional, and the platform as the package's name tells it.
//
//   node scripts/lockfile.mjs           completes the lockfile
//   node scripts/lockfile.mjs --check   exit 1 when it is not complete
import { readFileSync, writeFileSync } from "node:fs";

const FILE = new URL("../package-lock.json", import.meta.url);
const OS = new Map(
  Object.entries({
    darwin: "darwin",
    macos: "darwin",
    win32: "win32",
    windows: "win32",
    linux: "linux",
    android: "android",
  }).concat(["freebsd", "openbsd", "netbsd", "sunos", "aix", "openharmony"].map((name) => [name, name])),
);
const CPU = new Map(
  Object.entries({ aarch64: "arm64", 64: "x64" }).concat(
    ["arm64", "x64", "ia32", "arm", "riscv64", "s390x", "ppc64", "loong64", "mips64el"].map((name) => [name, name]),
  ),
);

const lock = JSON.parse(readFileSync(FILE, "utf8"));
const packages = lock.packages;
const added = {};

/** Node's resolution: the nearest node_modules up the tree that has it. */
function isResolved(from, name) {
  for (
    let base = from;
    ;
    base = base.includes("/node_modules/") ? base.slice(0, base.lastIndexOf("/node_modules/")) : ""
  ) {
    if (`${base === "" ? "" : `${base}/`}node_modules/${name}` in packages) return true;
    if (base === "") return false;
  }
}

for (const [path, entry] of Object.entries(packages)) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    if (isResolved(path, name)) continue;
    const words = name.split(/[-/]/);
    const os = words.map((word) => OS.get(word)).find(Boolean);
    const cpu = words.map((word) => CPU.get(word)).find(Boolean);
    added[`node_modules/${name}`] = {
      version: range.replace(/^[\^~=]+/, ""),
      ...(entry.dev === true ? { dev: true } : {}),
      optional: true,
      ...(cpu === undefined ? {} : { cpu: [cpu] }),
      ...(os === undefined ? {} : { os: [os] }),
      ...(name.includes("musl") ? { libc: ["musl"] } : {}),
    };
  }
}

// A lockfile names what is installed, not from where: each user's own registry serves it.
const withPlace = Object.values(packages).filter((entry) => entry.resolved?.startsWith("http"));
const missing = Object.keys(added);
if (process.argv.includes("--check")) {
  if (missing.length > 0 || withPlace.length > 0) {
    process.stderr.write(
      `package-lock.json: ${missing.length} optional packages are missing, ${withPlace.length} entries name a registry\n`,
    );
    process.stderr.write("  try: node scripts/lockfile.mjs\n");
    process.exitCode = 1;
  }
} else {
  for (const entry of withPlace) delete entry.resolved;
  Object.assign(packages, added);
  lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`);
  process.stdout.write(`package-lock.json: added ${missing.length} entries\n`);
}
