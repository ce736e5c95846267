import { dirname, resolve } from "node:path";
import { holdsAuthorities } from "./anchor-keys.ts";
import { buildConfig } from "./build.ts";
import type { Config } from "./config.ts";
import { crossCheck } from "./cross-checks.ts";
import { parseYaml } from "./document.ts";
import { checkShape } from "./explain.ts";
import { isLogKey, isVaultKey, LOG_KEY_ERROR, VAULT_KEY_ERROR } from "./key-files.ts";
import { type ConfigMistake, configurationError, type Finding, inOrder, type Path, pathText } from "./mistake.ts";
import { type ConfigWorld, reasonOf, substitute } from "./substitute.ts";
import { decodeText } from "./text.ts";
import { readTree, type Tree } from "./tree.ts";
import { View } from "./view.ts";

/** Either the configuration or, in order of place, everything that is wrong with it. */
export type ConfigCheck = { readonly config: Config } | { readonly mistakes: readonly ConfigMistake[] };

/**
 * Reads and checks a configuration file. Relative paths in it start at its folder.
 * @throws HoopishError `configuration`, whose message lists every mistake as `file:line:column: path: message`
 */
export function loadConfig(file: string, world: ConfigWorld): Config {
  const check = checkConfig(file, world);
  if ("mistakes" in check) throw configurationError(check.mistakes);
  return check.config;
}

/** The same for `check`, which prints the list. A file that cannot be read is a mistake at its first line. */
export function checkConfig(file: string, world: ConfigWorld): ConfigCheck {
  let bytes: Uint8Array;
  try {
    bytes = world.readFile(resolve(file));
  } catch (error) {
    const message = `the file cannot be read${reasonOf(error)}`;
    return { mistakes: [{ file, line: 1, column: 1, path: "", message }] };
  }
  return checkConfigBytes(bytes, file, world);
}

/** The same over bytes that are at hand; `file` gives the mistakes their name and relative paths their folder. */
export function checkConfigBytes(bytes: Uint8Array, file: string, world: ConfigWorld): ConfigCheck {
  const decoded = decodeText(bytes);
  if (!("text" in decoded)) return { mistakes: [{ file, line: 1, column: 1, path: "", message: decoded.message }] };
  const folder = dirname(resolve(file));
  const yaml = parseYaml(decoded.text);
  const tree = readTree(yaml.document, (scalar) => substitute(scalar, folder, world));
  const findings = [...yaml.findings];
  if (yaml.sound) {
    const shape = checkShape(tree);
    findings.push(...tree.findings, ...shape.findings, ...crossCheck(tree), ...checkFiles(tree, folder, world));
    if (findings.length === 0 && shape.file !== undefined) return { config: buildConfig(shape.file, folder) };
  }
  const place = (finding: Finding): ConfigMistake => {
    const { line, col } = yaml.lines.linePos(finding.offset ?? tree.offsetOf(finding.path));
    // An empty file has no line of its own to the counter.
    return {
      file,
      line: Math.max(line, 1),
      column: Math.max(col, 1),
      path: pathText(finding.path),
      message: finding.message,
    };
  };
  return { mistakes: inOrder(findings.map(place)) };
}

/** Files that the server needs when it starts: better missed now than when the old process has already stopped. */
function checkFiles(tree: Tree, folder: string, world: ConfigWorld): Finding[] {
  const view = new View(tree);
  const authorities = view.items(["evidence", "anchors"]).map((anchor) => [...anchor, "timestamp", "caFile"]);
  const any = (): boolean => true;
  return [
    ...[
      ["tls", "certFile"],
      ["tls", "keyFile"],
    ].flatMap((path) => checkFile(path, any, "")),
    ...authorities.flatMap((path) => checkFile(path, holdsAuthorities, "holds no certificates in PEM")),
    ...(view.has(["evidence"])
      ? [
          ...checkFile(["evidence", "keyFile"], isLogKey, LOG_KEY_ERROR, "log.key"),
          ...checkFile(["evidence", "vaultKeyFile"], isVaultKey, VAULT_KEY_ERROR, "vault.key"),
        ]
      : []),
  ];

  /** `standard`: the file's name where the configuration names none. */
  function checkFile(path: Path, isGood: (bytes: Uint8Array) => boolean, bad: string, standard?: string): Finding[] {
    const written = view.has(path);
    const file = written ? view.text(path) : standard;
    if (file === undefined || file === "") return [];
    const quoted = written ? view.quoted(path) : JSON.stringify(file);
    try {
      return isGood(world.readFile(resolve(folder, file))) ? [] : [{ path, message: `the file ${quoted} ${bad}` }];
    } catch (error) {
      const hint = standard === undefined ? "" : "; `hoopish-server init` makes one";
      return [{ path, message: `the file ${quoted} cannot be read${reasonOf(error)}${hint}` }];
    }
  }
}
