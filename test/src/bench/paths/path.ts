import type { Endpoint } from "../helper/jobs.ts";
import type { PathName } from "../options.ts";

/** One way from a client to the model server. What it does not carry is absent. */
export interface Path {
  readonly name: PathName;
  /** OpenAI's API. */
  readonly chat: Endpoint;
  /** The same through the tap, for streams that are timed. */
  readonly timed: Endpoint;
  /** The Open Inference Protocol. */
  readonly infer?: Endpoint;
  /** Anything, up to 300 MiB. */
  readonly raw?: Endpoint;
  /** The processes between client and model server, by what they are. */
  processes(): Readonly<Record<string, readonly number[]>>;
}

export interface Model {
  readonly url: string;
  readonly credential: string;
  readonly pid: number | undefined;
}

export const bearer = (credential: string): Readonly<Record<string, string>> => ({
  authorization: `Bearer ${credential}`,
});

/** Nothing between: what the machine and the model server can do. */
export function directPath(model: Model, tapUrl: string): Path {
  const headers = bearer(model.credential);
  const endpoint = { origin: model.url, headers };
  return {
    name: "direct",
    chat: endpoint,
    infer: endpoint,
    raw: endpoint,
    timed: { origin: tapUrl, headers },
    processes: () => ({}),
  };
}
