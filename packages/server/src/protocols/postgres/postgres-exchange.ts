import { type HeaderList, HoopishError } from "@hoopish/protocol";
import { countFindings } from "../../masking/count-findings.ts";
import type { BodyMasker, MaskedBytes } from "../../masking/masker.ts";
import type { MaskPlan } from "../../masking/plan.ts";
import { RowsMask } from "../../masking/rows/rows-mask.ts";
import { Tally } from "../../masking/tally.ts";
import type { BodyReading, Operation } from "../../operations/operation.ts";
import { describeSql, readSql, type SqlReading } from "../../operations/sql/sql.ts";
import type {
  AnswerClose,
  AnswerHead,
  AnswerView,
  Exchange,
  ForwardOrder,
  Inspection,
  ReadRequest,
  RequestBody,
} from "../../relay/exchange.ts";
import type { AgentDispatch, Upstream, UpstreamListener } from "../../relay/ports.ts";
import type { Session } from "../../sessions/session.ts";
import type { Batch, Unit } from "./batch.ts";
import type { CopyIn } from "./copy-in.ts";
import { maskUnits } from "./mask-units.ts";
import type { Names } from "./names.ts";
import type { PostgresAnswerSink } from "./postgres-answer.ts";
import { type RequestText, requestText } from "./request-text.ts";
import type { Talk } from "./talk.ts";

/** The connection that a batch came on. */
export interface BatchLine {
  readonly session: Session;
  readonly database: string;
  readonly names: Names;
  readonly talk: Talk;
  /** Types of a prepared statement's parameters, as far as the client gave them. */
  readonly typesOf: (statement: string) => readonly number[];
  readonly noteTypes: (statement: string, types: readonly number[]) => void;
  readonly done: (unit: Unit) => void;
  readonly failed: (unit: Unit) => void;
}

const COPIES: ReadonlySet<string> = new Set(["copy_in", "copy_out", "copy_program", "large_object"]);

/** One batch of a PostgreSQL client: what it asks before it waits for an answer. */
export class PostgresExchange implements Exchange {
  readonly protocol = "postgres";
  readonly method: string;
  readonly path: string;
  readonly query = "";
  readonly headers: HeaderList = ["content-type", "application/json"];
  readonly length = undefined;
  readonly body: RequestBody;
  readonly answer: PostgresAnswerSink;
  readonly judgesPieces = false;
  readonly meaningInBody = true;
  readonly #line: BatchLine;
  readonly #batch: Batch;
  readonly #text: RequestText;
  readonly #copyIn: CopyIn;
  readonly #operation: Operation;
  #units: readonly Unit[];
  #masker: BodyMasker | undefined;

  constructor(line: BatchLine, batch: Batch, copyIn: CopyIn, answer: PostgresAnswerSink) {
    this.#line = line;
    this.#batch = batch;
    this.#copyIn = copyIn;
    this.#units = batch.units;
    this.#text = requestText(batch.units, line.names);
    this.#operation = this.#described();
    this.method =
      batch.end === "query" ? "Query" : batch.units.some(({ kind }) => kind === "execute") ? "Execute" : "Prepare";
    this.path = `/${encodeURIComponent(line.database)}`;
    const { statements } = this.#text;
    const bytes = Buffer.from(JSON.stringify(statements.length === 1 ? statements[0] : statements));
    this.body = this.#copiesIn ? copyIn.body(bytes) : wholeBody(bytes);
    this.answer = answer;
  }

  read(bytes: Buffer): BodyReading {
    const { statements } = this.#text;
    return bytes.length === 0
      ? { state: "none" }
      : { state: "json", value: statements.length === 1 ? statements[0] : statements };
  }

  describe(): Operation {
    return this.#operation;
  }

  json({ body }: ReadRequest): unknown {
    return body.state === "json" ? body.value : undefined;
  }

  findings({ bytes }: ReadRequest): ReadonlyMap<string, number> {
    return countFindings(bytes, "application/json");
  }

  mask(_request: ReadRequest, plan: MaskPlan): MaskedBytes {
    const { names, typesOf } = this.#line;
    const tally = new Tally(plan);
    this.#units = maskUnits(this.#batch.units, typesOf, plan, tally);
    const { statements } = requestText(this.#units, names);
    return { bytes: Buffer.from(JSON.stringify(statements.length === 1 ? statements[0] : statements)), tally };
  }

  forward(_order: ForwardOrder, _agents: AgentDispatch, listener: UpstreamListener): Upstream {
    const { talk, session, names } = this.#line;
    // From here on the database may know what the names are to stand for, and not before.
    const { bound } = requestText(this.#units, names);
    noteNames(this.#units, bound, this.#line);
    talk.begin({
      batch: { ...this.#batch, units: this.#units },
      messages: this.#units.map(({ bytes }) => bytes),
      listener,
      masker: () => this.#masker,
      done: (unit) => {
        if (unit.kind === "bind") names.bound(unit.portal, bound.get(unit) ?? []);
        else this.#line.done(unit);
      },
      failed: this.#line.failed,
      maxRows: session.connection.limits.responseRows,
      onCopyIn: () => this.#copyIn.begin(),
    });
    return new TalkUpstream(talk);
  }

  view({ headers }: AnswerHead, inspection: Inspection | undefined, unseen: (why: string) => void): AnswerView {
    if (inspection === undefined) return { headers, masker: undefined, holdsHead: false };
    const { plan, uninspectable } = inspection;
    this.#masker = new RowsMask(plan, { uninspectable, unseen });
    return { headers, masker: this.#masker, holdsHead: true };
  }

  close(): AnswerClose {
    const { rows, status } = this.#line.talk.facts;
    return { trailers: [], status, rows };
  }

  get #copiesIn(): boolean {
    return this.#operation.sql?.kinds.includes("copy_in") ?? false;
  }

  #described(): Operation {
    const { names, session } = this.#line;
    const { modelFunctions, readFunctions } = session.connection;
    const prepared = (name: string): SqlReading | undefined => {
      const texts = names.statement(name);
      if (texts === undefined) return undefined;
      const readings = texts.map(readSql);
      const unclear = readings.find((reading) => reading.unclear !== undefined)?.unclear;
      const statements = readings.flatMap((reading) => reading.statements);
      return { statements, ...(unclear === undefined ? {} : { unclear }) };
    };
    const texts = this.#text.statements.map(({ sql }) => sql);
    const operation = describeSql(texts, { modelFunctions, readFunctions, prepared });
    const copies = operation.sql?.kinds.some((kind) => COPIES.has(kind)) ?? false;
    const unclear = this.#text.unknown ?? operation.unclear ?? (copies ? COPIED : undefined);
    return unclear === undefined ? operation : { ...operation, unclear };
  }
}

const COPIED = "the data of a COPY or of a large object cannot be looked into";

/** A call's way to the database. */
class TalkUpstream implements Upstream {
  readonly #talk: Talk;
  #begun = false;

  constructor(talk: Talk) {
    this.#talk = talk;
  }

  get agent(): Upstream["agent"] {
    return this.#talk.link.agent;
  }

  /** The first piece is what is asked, which has gone out as messages; those that follow are a COPY's. */
  write(bytes: Buffer): boolean {
    if (this.#begun) return this.#talk.write(bytes);
    this.#begun = true;
    return true;
  }

  end(): void {}

  consumed(bytes: number): void {
    this.#talk.link.consumed(bytes);
  }

  cancel(): void {
    this.#talk.abandon();
  }
}

function wholeBody(bytes: Buffer): RequestBody {
  return {
    arrived: (limitBytes) => Promise.resolve(bytes.length > limitBytes ? undefined : bytes),
    prefix: () => Promise.resolve({ bytes, ended: true }),
    rest: () => nothing(),
    trailers: [],
  };
}

async function* nothing(): AsyncGenerator<Buffer> {}

/** @throws HoopishError when a text that a name may stand for can no longer be kept */
function noteNames(
  units: readonly Unit[],
  bound: ReadonlyMap<Unit, readonly string[]>,
  { names, noteTypes }: Pick<BatchLine, "names" | "noteTypes">,
): void {
  for (const unit of units) {
    let fits = true;
    if (unit.kind === "query") {
      for (const { prepares } of readSql(unit.sql).statements) {
        if (prepares !== undefined) fits &&= names.mayBecome(prepares.name, prepares.statement);
      }
    } else if (unit.kind === "parse") {
      fits = names.mayBecome(unit.name, unit.sql);
      noteTypes(unit.name, unit.types);
    } else if (unit.kind === "bind") fits = names.mayBind(unit.portal, bound.get(unit) ?? []);
    if (!fits) throw tooMany();
  }
}

const tooMany = (): HoopishError =>
  new HoopishError("policy_blocked", "this connection has prepared too many statements: close some, or connect anew");
