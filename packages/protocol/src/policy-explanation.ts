import { z } from "zod";

/** Why a recorded call was decided as it was: every rule about its caller and connection, asked again. */
export interface PolicyExplanation {
  readonly call: string;
  readonly time: string;
  readonly user: string;
  readonly connection: string;
  /** What the record says. */
  readonly decided: { readonly verdict: "allow" | "hold" | "block"; readonly rule?: string; readonly code?: string };
  /** The policy's hash then, and the one whose rules follow. Where they differ, the rules below are not those that decided. */
  readonly policy: { readonly recorded: string; readonly asked: string };
  /** `token`: as the caller's last token named them; `guessed`: those of the rule that let him in, since the log has a hash. */
  readonly groups: { readonly names: readonly string[]; readonly from: "token" | "guessed" };
  /** Whether the request's body was there to be looked at; its headers never are. */
  readonly body: boolean;
  readonly rules: readonly {
    readonly name: string;
    readonly then: "allow" | "hold" | "block";
    readonly matched: boolean;
    readonly why: string;
  }[];
}

const verdict = z.enum(["allow", "hold", "block"]);
export const policyExplanationSchema: z.ZodType<PolicyExplanation> = z.object({
  call: z.string(),
  time: z.string(),
  user: z.string(),
  connection: z.string(),
  decided: z.object({ verdict, rule: z.string().exactOptional(), code: z.string().exactOptional() }),
  policy: z.object({ recorded: z.string(), asked: z.string() }),
  groups: z.object({ names: z.array(z.string()), from: z.enum(["token", "guessed"]) }),
  body: z.boolean(),
  rules: z.array(
    // biome-ignore lint/suspicious/noThenProperty: the configuration's word; a finding is never awaited
    z.object({ name: z.string(), then: verdict, matched: z.boolean(), why: z.string() }),
  ),
});
