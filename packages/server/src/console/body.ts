import { HoopishError } from "@hoopish/protocol";
import type { Context } from "hono";
import type { ZodType } from "zod";

/** A request's JSON. @throws HoopishError bad_request, naming the members that are wrong and never their values */
export async function body<T>(context: Context, schema: ZodType<T>): Promise<T> {
  const parsed = schema.safeParse(await context.req.json().catch(() => undefined));
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map((issue) => issue.path.join(".") || "the body").join(", ");
  throw new HoopishError("bad_request", `not valid: ${wrong}`);
}
