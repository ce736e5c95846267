import { HoopishError, toHoopishError } from "@hoopish/protocol";
import { Hono } from "hono";
import { maySee, refused } from "../approvals/eligibility.ts";
import { clientName } from "../entry/bearer.ts";
import type { Principal } from "../identity/principal.ts";
import { rolesOf } from "../identity/roles.ts";
import { checkSlackSignature, parseSlackPress, type SlackPress } from "../notifications/slack-press.ts";
import type { ConsolePorts } from "./context.ts";

/**
 * Buttons of a chat. Slack proves that one of its members pressed; who that is to the bank, the configuration says; and what
 * he may, his own last token: whoever has not signed in lately, or is not named, decides nothing here.
 */
export function slackRoutes(ports: ConsolePorts): Hono {
  const routes = new Hono();
  routes.post("/slack/:name/actions", async (context) => {
    const endpoint = ports.notify.find(({ name }) => name === context.req.param("name"));
    const { interactive } = endpoint ?? {};
    if (endpoint === undefined || interactive === undefined) throw new HoopishError("not_found", "no such chat");
    const body = await context.req.text();
    const header = (name: string): string | undefined => context.req.header(name);
    const signed = { timestamp: header("x-slack-request-timestamp"), signature: header("x-slack-signature") };
    let principal: Principal | undefined;
    let press: SlackPress;
    try {
      checkSlackSignature(body, signed, interactive.signingSecret, ports.now());
      press = parseSlackPress(body);
    } catch (error) {
      await ports.refusals.record(error, clientName(header("user-agent")));
      throw error;
    }
    let words: string;
    try {
      principal = identify(press, interactive.users, ports);
      words = await decide(press, principal, ports);
    } catch (thrown) {
      const error = toHoopishError(thrown);
      if (error.code === "internal") throw error;
      const actor = principal === undefined ? undefined : ports.actorOf(principal);
      await ports.refusals.record(error, clientName(header("user-agent")), actor);
      words = `hoopish: ${error.message}`;
    }
    // Slack takes any answer but 2xx for a failure of ours, and shows a warning sign; the words go another way.
    ports.answerInChat(endpoint, press.responseUrl, words);
    return context.body(null, 200);
  });
  return routes;
}

/** @throws HoopishError access_denied */
function identify(press: SlackPress, users: Readonly<Record<string, string>>, ports: ConsolePorts): Principal {
  const user = Object.hasOwn(users, press.user) ? users[press.user] : undefined;
  if (user === undefined) throw refused("your account in this chat is not known to be anybody's at the bank");
  const principal = ports.seen.find(user, ports.now());
  if (principal === undefined) {
    throw new HoopishError("access_denied", `${user} has not signed in lately: run hoopish whoami, then press again`);
  }
  if (ports.locks.find("user", user) !== undefined) throw refused(`${user} is locked`);
  return principal;
}

async function decide(press: SlackPress, principal: Principal, ports: ConsolePorts): Promise<string> {
  const request = ports.approvals.get(press.approval);
  if (request === undefined || !maySee(principal, request, rolesOf(principal, ports.roles).length > 0)) {
    throw new HoopishError("not_found", "no such request");
  }
  const { decision, reason } = press;
  const said = { decision, via: "slack" as const, ...(reason === undefined ? {} : { reason }) };
  const { state, decisions, asked } = await ports.approvals.decide(
    press.approval,
    { principal, actor: ports.actorOf(principal) },
    said,
  );
  if (state.state === "denied") return `Denied by ${principal.user}.`;
  const yes = decisions.filter((one) => one.decision === "approve").length;
  return state.state === "pending"
    ? `Approved by ${principal.user}: ${yes} of ${asked.quorum}.`
    : `Approved by ${principal.user}.`;
}
