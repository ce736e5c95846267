import type { Style } from "../terminal/style.ts";
import { details } from "../terminal/table.ts";
import { formatBytes } from "../terminal/units.ts";
import type { BodyComparison } from "./comparison.ts";
import type { Reissue } from "./reissue.ts";

/** Longest value that is shown of a member that is different. */
const MAX_VALUE = 300;

/** A reissue for a person; every text in it has been neutralised. */
export function differenceLines(safe: Reissue, style: Style): readonly string[] {
  const { of, again, session, connection, status, complete, body } = safe;
  const was = status.was === undefined ? "none" : String(status.was);
  return [
    ...details(
      [
        ["recorded", of],
        ["again", style.strong(again)],
        ["session", `${session} on ${connection}`],
        [
          "status",
          was === String(status.now) ? style.good(`${was}, as before`) : style.odd(`${was}, now ${status.now}`),
        ],
        ["answer", summary(body, style) + (complete ? "" : style.bad(", which broke off"))],
      ],
      style,
    ),
    ...bodyLines(body, style),
  ];
}

function summary(body: BodyComparison, style: Style): string {
  switch (body.kind) {
    case "same":
      return style.good("the same, byte for byte");
    case "nothing_recorded":
      return style.odd("none is kept to compare with");
    case "binary":
      return style.odd(`not the same: ${formatBytes(body.wasBytes)}, now ${formatBytes(body.nowBytes)}`);
    case "json":
      return style.odd(`${count(body.differences.length, "member")} not the same${body.more ? ", and more" : ""}`);
    case "text":
      return style.odd(`${count(body.differences.length, "place")} not the same`);
    case "events":
      return body.differences.length === 0
        ? style.good("other events, the same text")
        : style.odd(`${count(body.differences.length, "place")} of the streams' text not the same`);
  }
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

function bodyLines(body: BodyComparison, style: Style): readonly string[] {
  switch (body.kind) {
    case "json":
      return body.differences.flatMap((difference) => [
        "",
        style.faint(difference.path),
        ...("was" in difference ? [style.bad(`- ${short(JSON.stringify(difference.was))}`)] : []),
        ...("now" in difference ? [style.good(`+ ${short(JSON.stringify(difference.now))}`)] : []),
      ]);
    case "text":
    case "events":
      return body.differences.flatMap(({ unit, at, was, now }) => [
        "",
        style.faint(`${unit} ${at}`),
        ...was.map((text) => style.bad(`- ${short(text)}`)),
        ...now.map((text) => style.good(`+ ${short(text)}`)),
      ]);
    default:
      return [];
  }
}

const short = (text: string): string => (text.length <= MAX_VALUE ? text : `${text.slice(0, MAX_VALUE)}…`);
