import { type DescribedFile, inOrder, readDescribedFile } from "./described-file.ts";
import { MAX_BYTES, MAX_FILES, tooManyBytes, tooManyFiles } from "./limits.ts";
import type { ReflectionAnswer, ReflectionQuestion } from "./reflection-messages.ts";
import { delimited, GarbledError } from "./wire.ts";

/** Asks the model server one question. @throws whatever ends the conversation */
export type Ask = (question: ReflectionQuestion, value: string) => Promise<ReflectionAnswer>;

/** What a model server says of its own services. */
export interface Description {
  /** A serialized google.protobuf.FileDescriptorSet, imports before what imports them. */
  readonly set: Buffer;
  readonly files: number;
  readonly services: readonly { readonly name: string; readonly methods: number }[];
}

/** The model server will not say. `about`: the name that it was asked for, empty for the list; `message`: its own words. */
export class RefusedQuestion extends Error {
  override readonly name = "RefusedQuestion";
  readonly code: number;
  readonly about: string;
  constructor(code: number, about: string, message: string) {
    super(message);
    this.code = code;
    this.about = about;
  }
}

/** Every gate knows these, and masks nothing in them. */
const OWN = /^grpc\.(reflection|health)\./;

/** Every service but gRPC's own, with all files that describe it. @throws RefusedQuestion, GarbledError, TooMuchError */
export async function gather(ask: Ask): Promise<Description> {
  const files = new Files(ask);
  const names = (await listServices(ask)).filter((name) => !OWN.test(name));
  const roots = new Set<DescribedFile>();
  const services = [];
  for (const name of names) {
    // Many servers send a file's imports, and other services of it, with the first answer.
    if (files.describing(name) === undefined) await files.fetch("file_containing_symbol", name);
    const root = files.describing(name);
    if (root === undefined) throw new GarbledError(`it lists ${name} and does not describe it`);
    roots.add(root);
    services.push({ name, methods: root.services.get(name) ?? 0 });
  }
  await files.complete(roots);
  const ordered = inOrder(roots, files.byName);
  return { set: Buffer.concat(ordered.map(({ bytes }) => delimited(1, bytes))), files: ordered.length, services };
}

async function listServices(ask: Ask): Promise<readonly string[]> {
  // The text is not looked at; grpcurl sends this one.
  const answer = await ask("list_services", "*");
  if (answer.kind === "error") throw new RefusedQuestion(answer.code, "", answer.message);
  if (answer.kind !== "services") throw new GarbledError("it answers something else than was asked");
  return answer.names;
}

/** What was described so far, within the limits. */
class Files {
  readonly byName = new Map<string, DescribedFile>();
  readonly #byService = new Map<string, DescribedFile>();
  readonly #ask: Ask;
  #bytes = 0;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  describing(service: string): DescribedFile | undefined {
    return this.#byService.get(service);
  }

  async fetch(question: "file_containing_symbol" | "file_by_filename", value: string): Promise<void> {
    const answer = await this.#ask(question, value);
    if (answer.kind === "error") throw new RefusedQuestion(answer.code, value, answer.message);
    if (answer.kind !== "files") throw new GarbledError("it answers something else than was asked");
    for (const bytes of answer.files) this.#add(readDescribedFile(bytes));
  }

  /** Fetches what these import, and what that imports. */
  async complete(roots: Iterable<DescribedFile>): Promise<void> {
    const wanted = [...roots];
    const seen = new Set(wanted.map(({ name }) => name));
    for (let file = wanted.pop(); file !== undefined; file = wanted.pop()) {
      for (const name of file.dependencies) {
        if (seen.has(name)) continue;
        seen.add(name);
        if (!this.byName.has(name)) await this.fetch("file_by_filename", name);
        const dependency = this.byName.get(name);
        if (dependency === undefined) throw new GarbledError("it was asked for one file and describes another");
        wanted.push(dependency);
      }
    }
  }

  /** Some servers send a file again with each answer: the first counts. */
  #add(file: DescribedFile): void {
    if (this.byName.has(file.name)) return;
    this.#bytes += file.bytes.length;
    if (this.#bytes > MAX_BYTES) throw tooManyBytes();
    this.byName.set(file.name, file);
    if (this.byName.size > MAX_FILES) throw tooManyFiles();
    for (const service of file.services.keys()) {
      if (!this.#byService.has(service)) this.#byService.set(service, file);
    }
  }
}
