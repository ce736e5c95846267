/** A place in a JSON document. */
export type Place = readonly (string | number)[];

/** A string of an event that is a piece of a longer text. */
export interface Piece {
  readonly place: Place;
  /** Which text: pieces of one text have one name. */
  readonly channel: string;
}

/** What an event of a stream says of texts that come in pieces. */
export interface Deltas {
  readonly pieces: readonly Piece[];
  /** Whether a text is complete with this event. */
  ends(channel: string): boolean;
  /** An event of the same kind that holds nothing but `text` as a piece of `channel`. */
  rest(channel: string, text: string): unknown;
}

type Obj = { readonly [name: string]: unknown };
const isObject = (value: unknown): value is Obj => typeof value === "object" && value !== null && !Array.isArray(value);
const never = (): boolean => false;

/**
 * Known events: OpenAI's chat and completions (several choices, tool calls, refusals, reasoning), its Responses API, Anthropic's
 * messages, Ollama's lines. Undefined: an event of a kind that is not known, whose strings are each complete.
 */
export function deltasOf(event: unknown): Deltas | undefined {
  if (!isObject(event)) return undefined;
  if (Array.isArray(event.choices)) return choices(event, event.choices);
  if (typeof event.type === "string") return typed(event, event.type);
  if (typeof event.done === "boolean") return ollama(event);
  return undefined;
}

/** Members of a delta that are said once, and are no text. */
const SAID_ONCE: ReadonlySet<string> = new Set(["role", "id", "type", "name", "object", "format", "call_id"]);

function choices(event: Obj, list: readonly unknown[]): Deltas {
  const pieces: Piece[] = [];
  const finished = new Set<string>();
  for (const [position, choice] of list.entries()) {
    if (!isObject(choice)) continue;
    const name = `choice:${String(choice.index ?? position)}`;
    const before = pieces.length;
    if (typeof choice.text === "string") {
      pieces.push({ place: ["choices", position, "text"], channel: `${name}:text` });
    }
    strings(choice.delta, ["choices", position, "delta"], `${name}:delta`, pieces);
    if (choice.finish_reason !== null && choice.finish_reason !== undefined) finished.add(name);
    // An answer that is whole has no pieces: what is not a delta is looked at as it is.
    if (choice.delta === undefined && choice.message !== undefined) pieces.length = before;
  }
  const nameOf = (channel: string): string => channel.split(":", 2).join(":");
  return {
    pieces,
    ends: (channel) => finished.has(nameOf(channel)),
    rest(channel, text) {
      const { usage: _, choices: __, ...head } = event;
      const index = Number(channel.split(":")[1]);
      const [, , kind, ...steps] = channel.split(":");
      const value = kind === "text" ? { text } : { delta: nested(steps, text) };
      return { ...head, choices: [{ index, ...value, finish_reason: null }] };
    },
  };
}

/** Every string in a delta, by its place; elements of lists by the index that they name. */
function strings(value: unknown, place: Place, channel: string, pieces: Piece[]): void {
  if (typeof value === "string") {
    if (!SAID_ONCE.has(String(place.at(-1)))) pieces.push({ place, channel });
  } else if (Array.isArray(value)) {
    for (const [position, element] of value.entries()) {
      const index = isObject(element) && typeof element.index === "number" ? element.index : position;
      strings(element, [...place, position], `${channel}:#${index}`, pieces);
    }
  } else if (isObject(value)) {
    for (const [name, member] of Object.entries(value)) strings(member, [...place, name], `${channel}:${name}`, pieces);
  }
}

/** `tool_calls:#1:function:arguments` → {tool_calls: [{index: 1, function: {arguments: text}}]} */
function nested(steps: readonly string[], text: string): unknown {
  const [step, ...more] = steps;
  if (step === undefined) return text;
  if (!step.startsWith("#")) return { [step]: nested(more, text) };
  const inner = nested(more, text);
  return [isObject(inner) ? { index: Number(step.slice(1)), ...inner } : inner];
}

/** Members that hold the text of a delta whose type says that it is one. */
const TEXTS = ["text", "partial_json", "thinking", "citation", "signature"] as const;

function typed(event: Obj, type: string): Deltas | undefined {
  if (type === "content_block_delta" && isObject(event.delta)) {
    const { delta } = event;
    const name = TEXTS.find((one) => typeof delta[one] === "string");
    if (name === undefined || name === "signature") return undefined;
    return {
      pieces: [{ place: ["delta", name], channel: `block:${String(event.index)}:${name}` }],
      ends: never,
      rest: (_, text) => ({ ...event, delta: { ...delta, [name]: text } }),
    };
  }
  if (type === "content_block_stop") return ending((channel) => channel.startsWith(`block:${String(event.index)}:`));
  if (type === "message_stop") return ending((channel) => channel.startsWith("block:"));
  if (type.endsWith(".delta") && typeof event.delta === "string") {
    return {
      pieces: [{ place: ["delta"], channel: channelOf(event, type.slice(0, -".delta".length)) }],
      ends: never,
      rest: (_, text) => ({ ...event, delta: text }),
    };
  }
  if (type.endsWith(".done")) {
    const mine = channelOf(event, type.slice(0, -".done".length));
    // The item's own end is the end of all that is in it.
    const item = `:${String(event.item_id)}:`;
    return ending((channel) => channel === mine || (event.item_id !== undefined && channel.includes(item)));
  }
  if (type === "response.completed" || type === "response.failed" || type === "response.incomplete")
    return ending(() => true);
  return undefined;
}

const channelOf = (event: Obj, base: string): string =>
  `${base}:${String(event.item_id)}:${String(event.output_index)}:${String(event.content_index ?? event.summary_index)}`;

const ending = (ends: (channel: string) => boolean): Deltas => ({ pieces: [], ends, rest: () => undefined });

function ollama(event: Obj): Deltas {
  const pieces: Piece[] = [];
  for (const name of ["response", "thinking"]) {
    if (typeof event[name] === "string") pieces.push({ place: [name], channel: name });
  }
  const { message } = event;
  if (isObject(message)) {
    for (const name of ["content", "thinking"]) {
      if (typeof message[name] === "string") pieces.push({ place: ["message", name], channel: `message:${name}` });
    }
  }
  return {
    pieces,
    ends: () => event.done === true,
    rest(channel, text) {
      const [name, inner] = channel.split(":") as [string, string?];
      const { model, created_at } = event;
      const value =
        inner === undefined ? text : { ...(isObject(message) ? { role: message.role } : {}), [inner]: text };
      return { model, created_at, [name]: value, done: false };
    },
  };
}
