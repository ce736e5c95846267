import type { RecordActor, StoredRecord } from "@hoopish/protocol";
import type { Fields } from "./event.ts";

const USER_TYPES = { human: [1, "User"], service: [4, "Service"], agent: [99, "Agent"] } as const;

/** `user`: the principal as its identity provider named it. */
export function userOf(actor: RecordActor | undefined): Fields {
  if (actor === undefined) return { name: "unknown", type_id: 0, type: "Unknown" };
  const [typeId, type] = USER_TYPES[actor.kind];
  return { name: actor.name, uid: actor.sub, type_id: typeId, type };
}

/** `actor`: who acted, in which session, known by which identity provider; the server itself where nobody did. */
export function actorOf({ actor, session }: Pick<StoredRecord, "actor" | "session">): Fields {
  if (actor === undefined) return { app_name: "hoopish-server" };
  return {
    user: userOf(actor),
    idp: { uid: actor.iss },
    ...(session === undefined ? {} : { session: { uid: session, issuer: actor.iss } }),
  };
}

/** `src_endpoint`, which some classes require: the machine as the client named it, where a record tells it. */
export const endpointOf = (host: string | undefined): Fields =>
  host === undefined ? { name: "unknown" } : { hostname: host };
