import { MAX_FILES, MAX_SERVICES, tooManyFiles, tooManyServices } from "./limits.ts";
import { fieldsOf, GarbledError } from "./wire.ts";

/**
 * A google.protobuf.FileDescriptorProto, read for what gathering needs
 * (https://github.com/protocolbuffers/protobuf/blob/main/src/google/protobuf/descriptor.proto). The types in it are the server's to read.
 */
export interface DescribedFile {
  readonly name: string;
  readonly bytes: Buffer;
  /** Names of the files that it imports. */
  readonly dependencies: readonly string[];
  /** With the package; how many methods each has. */
  readonly services: ReadonlyMap<string, number>;
}

/** @throws GarbledError, TooMuchError */
export function readDescribedFile(shared: Buffer): DescribedFile {
  // A copy: the message that it came in may be much larger, and is not kept alive by it.
  const bytes = Buffer.from(shared);
  let name = "";
  let packageName = "";
  const dependencies: string[] = [];
  const own = new Map<string, number>();
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) name = field.bytes.toString();
    else if (field.number === 2) packageName = field.bytes.toString();
    else if (field.number === 3) dependencies.push(field.bytes.toString());
    else if (field.number === 6) own.set(...serviceIn(field.bytes));
    if (dependencies.length > MAX_FILES) throw tooManyFiles();
    if (own.size > MAX_SERVICES) throw tooManyServices();
  }
  if (name === "") throw new GarbledError("a file has no name");
  const prefix = packageName === "" ? "" : `${packageName}.`;
  const services = new Map([...own].map(([service, methods]) => [prefix + service, methods]));
  return { name, bytes, dependencies, services };
}

function serviceIn(descriptor: Buffer): [name: string, methods: number] {
  let name = "";
  let methods = 0;
  for (const { number, bytes } of fieldsOf(descriptor)) {
    if (number === 1) name = bytes.toString();
    else if (number === 2) methods += 1;
  }
  if (name === "") throw new GarbledError("a service has no good name");
  return [name, methods];
}

/**
 * These files and all that they import, each once, what is imported before what imports it.
 * @throws GarbledError one is not there, or they import each other in a circle
 */
export function inOrder(roots: Iterable<DescribedFile>, all: ReadonlyMap<string, DescribedFile>): DescribedFile[] {
  const state = new Map<string, "open" | "done">();
  const ordered: DescribedFile[] = [];
  const visit = (file: DescribedFile): void => {
    if (state.get(file.name) === "done") return;
    if (state.get(file.name) === "open") throw new GarbledError("its files import each other in a circle");
    state.set(file.name, "open");
    for (const name of file.dependencies) {
      const dependency = all.get(name);
      if (dependency === undefined) throw new GarbledError("a file that it imports is missing");
      visit(dependency);
    }
    state.set(file.name, "done");
    ordered.push(file);
  };
  for (const root of roots) visit(root);
  return ordered;
}
