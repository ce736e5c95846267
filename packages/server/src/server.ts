import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import {
  AGENT_TUNNEL_PATH,
  CLIENT_TUNNEL_PATH,
  type Discovery,
  HoopishError,
  type StoredRecord,
  serverOrigin,
} from "@hoopish/protocol";
import { attachUpgrade } from "@hoopish/tunnel";
import { Challenges } from "./agents/challenges.ts";
import { createDispatch } from "./agents/dispatch.ts";
import { Enrolment } from "./agents/enrolment.ts";
import type { AgentStore } from "./agents/port.ts";
import { Roster } from "./agents/roster.ts";
import { Approvals } from "./approvals/approvals.ts";
import { loadApprovals } from "./approvals/load.ts";
import type { Config } from "./config/config.ts";
import { createConsole } from "./console/api.ts";
import type { ConsolePorts } from "./console/context.ts";
import { authorizeAgent } from "./entry/agent-tunnel.ts";
import { authorizeClient } from "./entry/client-tunnel.ts";
import { Refusals } from "./entry/refusals.ts";
import { ALL_CALLS } from "./evidence/all-calls.ts";
import type { Anchors } from "./evidence/anchors/anchors.ts";
import type { BundlePorts } from "./evidence/bundle/export.ts";
import type { EvidenceLog, EvidenceReader, LogTree } from "./evidence/port.ts";
import { RetentionJob } from "./evidence/retention/job.ts";
import type { RetentionStore } from "./evidence/retention/port.ts";
import { Retention } from "./evidence/retention/retention.ts";
import type { OpenSpool } from "./evidence/spool.ts";
import type { ActorOf, Identity } from "./identity/principal.ts";
import { SeenPrincipals } from "./identity/seen-principals.ts";
import { LockBook } from "./locks/locks.ts";
import { type AnalyzerOf, compileMasks } from "./masking/plans.ts";
import type { AnswerInChat } from "./notifications/port.ts";
import { loadSqlParser } from "./operations/sql/sql.ts";
import { compilePolicy, type Policy } from "./policy/policy.ts";
import { RateCounters } from "./policy/rate-counters.ts";
import { longestWindowMs, UsageRestorer } from "./policy/restore-usage.ts";
import type { GrpcSchema } from "./protobuf/schema.ts";
import { createEntries } from "./protocols/entries.ts";
import type { RelayPorts } from "./relay/ports.ts";
import { WaitingRoom } from "./relay/waiting-room.ts";
import { Sessions } from "./sessions/sessions.ts";

/** What a server stands on; main.ts makes these, tests may make others. */
export interface ServerPorts {
  readonly identity: Identity;
  readonly actorOf: ActorOf;
  readonly log: EvidenceLog;
  readonly reader: EvidenceReader;
  readonly tree: LogTree;
  readonly retention: RetentionStore;
  readonly anchors: Pick<Anchors, "status">;
  /** What the anchors gave back: the newest of each. */
  readonly receipts: BundlePorts["receipts"];
  readonly openSpool: OpenSpool;
  readonly agents: AgentStore;
  /** Hears that the log has something new about approvals. */
  readonly approvalsChanged: () => void;
  readonly answerInChat: AnswerInChat;
  /** Keys pseudonyms and the digests of what was masked. */
  readonly maskKey: Uint8Array;
  readonly analyzerOf: AnalyzerOf;
  /** What is known of the services of a gRPC connection. */
  readonly schemaOf: (connection: string) => GrpcSchema;
  readonly now: () => number;
  /** Errors that nobody waits for. Never given a payload, a token or a match. */
  readonly report: (error: unknown) => void;
  readonly version: string;
}

/** What of a configuration may change while the server runs. */
export type PolicyConfig = Pick<Config, "rules" | "roles" | "timeZone" | "masking">;

export interface HoopishServer {
  /** Where it listens. */
  readonly url: string;
  /**
   * Puts other rules in force: sessions that they do not admit end, calls that they block are cut, and what was approved
   * under the old ones is over. @returns false when they are the same
   */
  reload(next: PolicyConfig, by: string): Promise<boolean>;
  /** A changed configuration that is not good: what is in force stays, and the log says so. */
  refuseReload(reason: string, by: string): Promise<void>;
  /**
   * Graceful end: refuses what is new, tells clients and agents to go elsewhere, waits up to `drainMs` for running calls,
   * then ends every session. The log stays open: its owner closes it.
   */
  stop(reason: string): Promise<void>;
}

/** @throws HoopishError configuration when it cannot listen */
export async function startServer(config: Config, ports: ServerPorts): Promise<HoopishServer> {
  const { log, now, report } = ports;
  const origin = serverOrigin(config.publicUrl);
  let rules: PolicyConfig = config;
  let policy = compilePolicy(rules);
  const names = config.connections.map(({ name }) => name);
  let masks = compileMasks(rules.masking, names, ports.maskKey, ports.analyzerOf);
  const connections = new Map(config.connections.map((connection) => [connection.name, connection]));
  let draining = false;
  const isDraining = (): boolean => draining;

  await log.append([
    { type: "server.started", version: ports.version, config: config.publicUrl },
    { type: "policy.loaded", policy: policy.hash, rules: policy.ruleCount },
  ]);
  if (config.connections.some(({ protocol }) => protocol === "postgres")) await loadSqlParser();
  const locks = await LockBook.load(log, ports.reader, now);
  const breakGlassOf = (name: string): readonly string[] =>
    policy.rules.find((rule) => rule.name === name)?.approval?.breakGlass ?? [];
  const isLocked = (user: string): boolean => locks.find("user", user) !== undefined;
  const approvals = new Approvals(
    { log, now, report, breakGlassOf, isLocked },
    await loadApprovals(ports.reader, now()),
  );
  approvals.subscribe(ports.approvalsChanged);
  // What the last server was asked under other rules is over.
  await approvals.policyChanged(policy.hash);
  const seen = new SeenPrincipals();
  const roster = new Roster((name) => locks.find("agent", name) !== undefined);
  const challenges = new Challenges(now);
  const enrolment = await Enrolment.load(ports.agents, now, origin);
  const sessions = new Sessions({ connections, policy: () => policy, locks, log, actorOf: ports.actorOf, now });
  const refusals = new Refusals(log, now);
  const inFlight = new Map<string, number>();
  const relay: RelayPorts = {
    policy: () => policy,
    masks: (connection) => masks(connection),
    log,
    approvals,
    waiting: new WaitingRoom(),
    usage: await restoredUsage(policy, config.connections, ports),
    agents: createDispatch(roster),
    inFlight,
    now,
    draining: isDraining,
  };
  const entries = createEntries(relay, ports.schemaOf, report);
  const retention = new Retention({ store: ports.retention, payloadsMs: config.retention.payloadsMs, now });
  const newestCallMs = await newestCall(ports.reader);
  const job = new RetentionJob(retention, { now, newestCallMs, report });

  const lockOut: ConsolePorts["lockOut"] = async ({ kind, name, reason }, by) => {
    if (kind === "agent") return roster.lockOut(name);
    if (kind === "user") await approvals.userLocked(name);
    return sessions.lockOut(kind, name, reason, by.name);
  };
  const api = createConsole({
    ...ports,
    discovery: discovery(config, ports.version, ports.tree),
    origin,
    evidenceOrigin: config.evidence.origin,
    connections: config.connections,
    notify: config.notify,
    get roles() {
      return rules.roles;
    },
    policy: () => policy,
    approvals,
    breakGlassOf,
    locks,
    seen,
    lockOut,
    sessions,
    roster,
    enrolment,
    challenges,
    refusals,
    retention,
    ending: job.ending,
    draining: isDraining,
  });
  const listener = createListener(config);
  listener.on("request", getRequestListener(api.fetch));
  const client = { ...ports, sessions, entries, refusals, locks, seen, draining: isDraining };
  const agent = { challenges, enrolment, roster, locks, log, origin, now, draining: isDraining, report };
  const tunnels = attachUpgrade(listener, {
    [CLIENT_TUNNEL_PATH]: (request) => authorizeClient(request, client),
    [AGENT_TUNNEL_PATH]: (request) => authorizeAgent(request, agent),
  });
  const url = await listen(listener, config);
  job.start();

  return {
    url,
    async reload(next, by) {
      const compiled = compilePolicy(next);
      if (compiled.hash === policy.hash) return false;
      const previous = policy.hash;
      const loaded = { policy: compiled.hash, rules: compiled.ruleCount, previous, by };
      await log.append([{ type: "policy.loaded", ...loaded }]);
      rules = next;
      policy = compiled;
      masks = compileMasks(next.masking, names, ports.maskKey, ports.analyzerOf);
      await Promise.all([approvals.policyChanged(compiled.hash), sessions.policyChanged()]);
      return true;
    },
    async refuseReload(reason, by) {
      await log.append([
        { type: "policy.refused", policy: policy.hash, reason: reason.slice(0, 2_000).toWellFormed(), by },
      ]);
    },
    async stop(reason) {
      if (draining) return;
      draining = true;
      listener.close();
      for (const session of sessions.list()) session.notify({ event: "draining" });
      // GOAWAY: clients and agents look for another server at once, while what runs here goes on.
      tunnels.drain(reason);
      for (const entry of Object.values(entries)) entry.drain();
      await idle(inFlight, config.drainMs);
      await sessions.endAll({ reason: `the server stopped: ${reason}`, code: "server_draining", mayReturn: true });
      sessions.close();
      approvals.close();
      for (const entry of Object.values(entries)) entry.close();
      await settled(FAREWELL_MS);
      tunnels.close();
      listener.closeAllConnections();
      await job.stop();
      await log.append([{ type: "server.stopped", reason }]);
    },
  };
}

/** What rates have counted before this server started. */
async function restoredUsage(
  policy: Policy,
  connections: Config["connections"],
  { reader, now }: Pick<ServerPorts, "reader" | "now">,
): Promise<RateCounters> {
  const counters = new RateCounters();
  const windowMs = longestWindowMs(policy);
  if (windowMs === 0) return counters;
  const restorer = new UsageRestorer(policy, connections, (charge, atMs) => counters.charge(charge, atMs));
  for await (const batch of reader.export({ sinceMs: now() - windowMs, untilMs: now() + 1 }, false)) {
    for (const item of batch) if (item.kind === "record") restorer.add(JSON.parse(item.leaf) as StoredRecord);
  }
  return counters;
}

/** Time for the last frames (why sessions ended, GOAWAY) to leave before sockets are cut. */
const FAREWELL_MS = 100;

const settled = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function newestCall(reader: EvidenceReader): Promise<number | undefined> {
  const [call] = (await reader.calls(ALL_CALLS, 1, undefined)).items;
  return call === undefined ? undefined : Date.parse(call.time);
}

async function idle(inFlight: ReadonlyMap<string, number>, drainMs: number): Promise<void> {
  const endMs = performance.now() + drainMs;
  const running = (): boolean => [...inFlight.values()].some((count) => count > 0);
  while (running() && performance.now() < endMs) await settled(20);
}

function createListener(config: Config): Server {
  // Slow heads and idle connections of the control API are Node's defaults; tunnels leave them with the upgrade.
  const options = { maxHeaderSize: 32_768, headersTimeout: 10_000, requestTimeout: 30_000 };
  if (config.tls === undefined) return createHttpServer(options);
  const cert = readFileSync(config.tls.certFile);
  const key = readFileSync(config.tls.keyFile);
  return createHttpsServer({ ...options, cert, key, minVersion: "TLSv1.2" });
}

function listen(listener: Server, config: Config): Promise<string> {
  const { host, port } = config.listen;
  return new Promise((resolve, reject) => {
    listener.once("error", (cause: NodeJS.ErrnoException) => {
      const message = `cannot listen on ${host}:${port}: ${cause.code ?? cause.message}`;
      reject(new HoopishError("configuration", message, { cause, hint: "another program may use the port" }));
    });
    listener.listen(port, host, () => {
      const address = listener.address() as AddressInfo;
      const name = address.family === "IPv6" ? `[${address.address}]` : address.address;
      resolve(`${config.tls === undefined ? "http" : "https"}://${name}:${address.port}`);
    });
  });
}

function discovery(config: Config, version: string, { origin, vkey }: LogTree): Discovery {
  const issuers = config.identity.issuers.flatMap(({ kind, issuer, clientId, audience, scopes, flows }) =>
    kind === "human" && clientId !== undefined ? [{ issuer, clientId, audience, scopes, flows }] : [],
  );
  return { name: "hoopish", version, issuers, insecureStorage: config.identity.insecureStorage, log: { origin, vkey } };
}
