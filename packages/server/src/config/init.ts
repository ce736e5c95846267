import { HoopishError } from "@hoopish/protocol";
import { isLoopback, isPrivateTransport, parseHttpUrl } from "./endpoints.ts";

export interface InitOptions {
  /** Origin at which people and agents will reach the server. Default `http://127.0.0.1:8443`: this machine alone. */
  readonly publicUrl?: string;
  /** Default `127.0.0.1:8443`. */
  readonly listen?: string;
  /** The bank's OpenID provider. */
  readonly issuer?: string;
  readonly clientId?: string;
  readonly audience?: string;
}

/**
 * The text of a complete configuration with comments, which passes `check` as it stands.
 * @throws HoopishError usage when `publicUrl` is no URL, or would carry tokens over a network in the clear
 */
export function initConfig(options: InitOptions = {}): string {
  const url = parseHttpUrl(options.publicUrl ?? "http://127.0.0.1:8443");
  if (url === undefined || !isPrivateTransport(url)) {
    throw new HoopishError("usage", "publicUrl must be an https URL, or http on this machine's own address", {
      hint: "write https://gateway.bank.example or http://127.0.0.1:8443",
    });
  }
  const secure = url.protocol === "https:";
  const host = isLoopback(url.hostname) ? "localhost" : url.host;
  return `# The configuration of hoopish-server.  Check it with: hoopish-server check --config FILE
#
# Any value may be taken from the environment or from a file: "\${env:NAME}", "\${file:PATH}" ($\${ is a plain \${).
# Relative paths start at this file's folder. A key that is not known is an error: nothing written here is passed over.

# Where the server listens. Any other address than the loopback needs tls, or trustProxy.
listen: ${scalar(options.listen ?? "127.0.0.1:8443")}

# Origin at which people and agents reach it; agents sign it, so change it here when it changes.
publicUrl: ${scalar(url.origin)}

${secure ? SECURE : PLAIN}

# Evidence, in one file. It must outlive the process and the machine: put it on a disk that is backed up.
store: sqlite:./data/hoopish.db

evidence:
  # The log's name in everything that it signs. Choose it once.
  origin: ${scalar(`${host}/hoopish`)}
  # \`hoopish-server init\` made both. log.key signs the log: give its public half (init printed it; \`hoopish-server vkey\`
  # prints it again) to the auditors. vault.key seals the payloads: without it nobody reads them again. Keep copies of both
  # away from this machine.
  # To change log.key: move it away, run \`hoopish-server init\` for a new one, and name the old one's public half here.
  keyFile: log.key
  vaultKeyFile: vault.key
  # previousKeys: ["gateway.bank.example/hoopish+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"]
  # Where the log's signed checkpoints go as well, so that a store that was put back from a backup, or written anew, is
  # noticed: at the start against what an anchor has seen, and by an examiner. Without this line: a folder \`anchors\`
  # beside the store, which whoever changes the store can change too. Another disk or another machine is better, and a
  # witness that somebody else runs (\`hoopish witness\`, by internal audit) or an RFC 3161 authority is better still.
  # \`required: true\` on an anchor: no start without having read it.
  anchors:
    - file: ./data/anchors
    # - file: /mnt/audit/hoopish
    #   required: true
    # - witness: { url: "https://witness.bank.example", vkey: "bank.example/audit+a7963cb4+BGGZYxxIHdPkhKZzzsHk9Ix3Kvo4ApqHt1hOh5nfTiEs", every: 1m }
    # - timestamp: { url: "http://timestamp.bank.example", caFile: timestamp-ca.pem, every: 1h }

# How long bodies (requests and answers) are kept: a month's are destroyed together, when the last moment of the month (UTC)
# in which their call was decided is so long ago. heldOrBlocked: those of calls that policy held or blocked.
# \`hoopish audit hold\` keeps what a dispute needs. Records and their proofs outlive the bodies: this version destroys none
# of them, however old; \`records\` is what the bank promises, and may not be shorter than the others.
retention: { default: 90d, heldOrBlocked: 1y, records: 7y }

identity:
  # Clocks of the identity provider and this machine may differ by so much.
  clockTolerance: 30s
  # true: where a machine has no keychain, the CLI may keep tokens in a file that only its owner can read.
  insecureStorage: false
  issuers:
    # People. \`issuer\` must be what the tokens say, to the letter.
    - issuer: ${scalar(options.issuer ?? "https://login.bank.example")}
      clientId: ${scalar(options.clientId ?? "hoopish-cli")}
      # What access tokens for this server name as their audience. Not the clientId: ID tokens name that.
      audience: ${scalar(options.audience ?? "hoopish")}
      scopes: [openid, profile, email, offline_access]
      # How people may sign in; the first is the default.
      flows: [device, browser]
      # The claims that name a person and his groups. A path such as realm_access.roles may be written too.
      claims: { user: email, groups: groups }
      # algorithms: [RS256, PS256, ES256, EdDSA]
      # jwksUri: https://login.bank.example/jwks      # when the discovery document is not to be asked
    # Workloads: their tokens name no person. Rules name them under \`services\`. Where people and workloads have one
    # issuer, write it twice: \`clients\` then says which tokens are the workloads'.
    # - issuer: https://token.ci.example
    #   kind: service
    #   audience: hoopish
    #   clients: []                                   # client ids whose tokens are taken; none: any of the issuer
    #   claims: { user: sub }

# Groups. Administrators run the gateway; auditors read the evidence, and never connect.
roles:
  admin: [platform-admins]
  auditor: [internal-audit]

connections:
  - name: model-x
    # The name with which the agent beside the model was enrolled. Address and credential stand in its configuration.
    agent: edge-1
    protocol: http         # http (WebSockets too) | grpc | postgres: docs/protocols.md
    api: openai            # openai | oip | tfserving | triton | ollama | mlflow | generic
    limits: { requestBytes: 4MiB, responseBytes: 64MiB, callSeconds: 300, concurrentCalls: 32 }
    requireReason: false
    idle: 30m              # a session without calls ends
    maxSession: 8h         # any session ends
    evidence: overlap      # first: the model is asked only when the record of the request is durable

# All are read. No rule that allows: no access.
rules:
  - { name: scientists, connections: [model-x], groups: [data-science], then: allow }
  # - { name: bulk, connections: ["*"], when: call.rows > 100, then: hold, approval: { groups: [risk-officers] } }

# What is masked in answers, while they stream, or kept from the model (direction: request).
# masking:
#   - { name: answers, connections: ["*"], direction: response, detect: [US_SSN, CREDIT_CARD, IBAN, EMAIL, PHONE], action: redact }

# How long running calls may go on when the server is told to stop.
drain: 20s
logLevel: info             # debug | info | warn | error
`;
}

const SECURE = `# Who speaks https: a proxy in front (trustProxy), or the server itself (tls).
trustProxy: true
# tls: { certFile: server.crt, keyFile: server.key }`;

const PLAIN = `# tls: { certFile: server.crt, keyFile: server.key }
# trustProxy: true         # a proxy in front has the certificate`;

/** A text as a YAML scalar that can be nothing else: JSON's quoting is YAML's, and a \`\${\` in it stays one. */
function scalar(text: string): string {
  return /^[A-Za-z0-9][\w./:-]*$/.test(text) && !/:$/.test(text)
    ? text
    : JSON.stringify(text.replaceAll("${", () => "$${"));
}
