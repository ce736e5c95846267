import { type AccessRow, foldName, type RecordActor, type StoredRecord } from "@hoopish/protocol";
import type { ExportItem } from "../port.ts";

/** A rule that lets somebody in, as the report needs it. */
export interface Grant {
  readonly name: string;
  readonly connections: readonly string[];
  readonly groups: readonly string[];
  readonly users: readonly string[];
  readonly services: readonly string[];
}

type Row = { -readonly [K in keyof AccessRow]: AccessRow[K] };
type Of<T extends StoredRecord["type"]> = StoredRecord & { readonly type: T };

/** One pass over the records of a time; memory grows with users, rules, approvals and locks, not with calls. */
export class AccessTally {
  readonly #uses = new Map<string, Row & { held: number; blocked: number }>();
  readonly #usersOf = new Map<string, Set<string>>();
  readonly #lastOf = new Map<string, string>();
  readonly #approvals = new Map<string, Row>();
  readonly #locks = new Map<string, Row>();

  add(item: ExportItem): void {
    if (item.kind !== "record") return;
    const record = JSON.parse(item.leaf) as StoredRecord;
    switch (record.type) {
      case "session.open":
        this.#opened(record);
        return;
      case "call.decided":
        this.#decided(record);
        return;
      case "auth.refused":
        this.#refused(record);
        return;
      case "approval.requested":
      case "approval.granted":
      case "approval.denied":
      case "approval.expired":
      case "approval.used":
      case "approval.reviewed":
        this.#approval(record);
        return;
      case "lock.set":
      case "lock.lifted":
        this.#lock(record);
        return;
    }
  }

  rows(grants: readonly Grant[]): AccessRow[] {
    const uses = [...this.#uses.values()].map(({ held, blocked, ...row }) => ({
      ...row,
      ...(held + blocked === 0 ? {} : { detail: `${held} held, ${blocked} blocked` }),
    }));
    const approvals = [...this.#approvals.values()];
    return [...grants.map((grant) => this.#grant(grant)), ...uses, ...approvals, ...this.#locks.values()];
  }

  #grant({ name, connections, groups, users, services }: Grant): AccessRow {
    const people = this.#usersOf.get(name)?.size ?? 0;
    const last = this.#lastOf.get(name);
    const whom = [...groups.map((group) => `group ${group}`), ...users, ...services.map((one) => `service ${one}`)];
    return {
      what: "grant",
      connection: connections.join(" "),
      rule: name,
      count: people,
      ...(last === undefined ? {} : { last }),
      state: people === 0 ? "dormant" : "used",
      detail: whom.join(", "),
    };
  }

  #opened({ actor, connection, rule, time }: Of<"session.open">): void {
    this.#use(actor, connection, rule, time);
  }

  #decided({ actor, connection, rule, verdict, time }: Of<"call.decided">): void {
    const row = this.#use(actor, connection, rule ?? "", time);
    if (row === undefined) return;
    row.count = (row.count ?? 0) + 1;
    if (verdict === "hold") row.held += 1;
    if (verdict === "block") {
      row.blocked += 1;
      this.#refusedAfter(actor?.name, connection, time);
    }
  }

  #use(actor: RecordActor | undefined, connection: string, rule: string, time: string) {
    if (actor === undefined || actor.kind === "agent") return undefined;
    const key = JSON.stringify([actor.iss, actor.sub, actor.name, connection, rule]);
    let row = this.#uses.get(key);
    if (row === undefined) {
      row = {
        ...{ what: "use", user: actor.name, issuer: actor.iss, account: actor.kind, connection, rule },
        ...{ count: 0, first: time, last: time, held: 0, blocked: 0 },
      };
      this.#uses.set(key, row);
    }
    row.last = time;
    const people = this.#usersOf.get(rule) ?? new Set();
    this.#usersOf.set(rule, people.add(`${actor.iss}\n${actor.sub}`));
    this.#lastOf.set(rule, time);
    return row;
  }

  #refused({ actor, time }: Of<"auth.refused">): void {
    this.#refusedAfter(actor?.name, undefined, time);
  }

  /** The first time that a lock was felt. */
  #refusedAfter(user: string | undefined, connection: string | undefined, time: string): void {
    for (const row of this.#locks.values()) {
      if (row.state !== "set" || row.last !== undefined) continue;
      if (
        (user !== undefined && row.user !== undefined && foldName(row.user) === foldName(user)) ||
        (connection !== undefined && row.connection === connection)
      ) {
        row.last = time;
      }
    }
  }

  #approval(record: Of<`approval.${"requested" | "granted" | "denied" | "expired" | "used" | "reviewed"}`>): void {
    const known = this.#approvals.get(record.approval);
    const row: Row = known ?? {
      what: "approval",
      id: record.approval,
      connection: record.connection,
      rule: record.rule,
    };
    if (known === undefined) this.#approvals.set(record.approval, row);
    const said = (words: string): void => {
      row.detail = row.detail === undefined ? words : `${row.detail}; ${words}`;
    };
    row.last = record.time;
    switch (record.type) {
      case "approval.requested": {
        const { kind, model, rows } = record.operation;
        row.user = record.actor?.name ?? "";
        row.first = record.time;
        row.state = "pending";
        if (record.reason !== undefined) row.reason = record.reason;
        said([kind, model, rows === undefined ? undefined : `${rows} rows`].filter(Boolean).join(" "));
        return;
      }
      case "approval.granted":
        row.by = row.by === undefined ? record.by : `${row.by}, ${record.by}`;
        said(`${record.time} ${record.by} said yes${record.reason === undefined ? "" : `: ${record.reason}`}`);
        if (record.final === true) row.state = "approved";
        if (record.break_glass === true) {
          row.what = "break_glass";
          row.state = "owed";
        }
        return;
      case "approval.denied":
        row.by = record.by;
        row.state = "denied";
        said(`${record.time} ${record.by} said no: ${record.reason}`);
        return;
      case "approval.expired":
        row.state = "expired";
        said(`${record.time} ended: ${record.reason}`);
        return;
      case "approval.used":
        if (row.what === "approval") row.state = "used";
        said(`${record.time} used by ${record.call ?? ""}`);
        return;
      case "approval.reviewed":
        row.state = "reviewed";
        said(`${record.time} ${record.by} reviewed: ${record.reason}`);
    }
  }

  #lock({ type, lock, kind, name, reason, by, time }: Of<"lock.set" | "lock.lifted">): void {
    const row: Row = this.#locks.get(lock) ?? { what: "lock", id: lock, first: time };
    this.#locks.set(lock, row);
    if (kind === "user") row.user = name;
    else if (kind === "connection") row.connection = name;
    else row.detail = `agent ${name}`;
    row.state = type === "lock.set" ? "set" : "lifted";
    if (type === "lock.set") {
      row.by = by;
      row.reason = reason;
    } else row.detail = `${row.detail === undefined ? "" : `${row.detail}; `}${time} lifted by ${by}: ${reason}`;
  }
}
