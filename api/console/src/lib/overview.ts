// What the overview needs no page for: where an item of attention leads, and the rate of events in words.
import type { Schemas } from "./api";
import { count, plural } from "./format";
import type { Family } from "./status";

export type Attention = Schemas["Attention"];
type Kind = Attention["kind"];

/** A page of the console, or an address of the API where there is no page. */
export type Target = { page: string; query: URLSearchParams } | { api: string };

const PAGES: readonly (readonly [RegExp, (found: string) => string])[] = [
  [/^\/workspaces\/([^/]+)\/locks$/, (workspace) => `/locks/${workspace}`],
  [/^\/tasks\/([^/]+)(?:\/why)?$/, (id) => `/tasks/${id}`],
  [/^\/(tasks|runners)$/, (list) => `/${list}`],
  [/^\/notices$/, () => "/notices"],
  [/^\/dead$/, () => "/evidence"],
];

/** Where `link`, an address of the API, is to be seen; null if it is on the overview itself. */
export function target(link: string): Target | null {
  const [path = "", query = ""] = link.split("?");
  if (path === "/overview") return null;
  for (const [form, page] of PAGES) {
    const found = form.exec(path);
    if (found !== null) return { page: page(found[1] ?? ""), query: ofConsole(new URLSearchParams(query)) };
  }
  return { api: link };
}

/** The console's qualifiers for the API's parameters. */
function ofConsole(query: URLSearchParams): URLSearchParams {
  const [since, asked] = [query.get("finished_after"), query.get("on_request")];
  query.delete("finished_after");
  query.delete("on_request");
  if (since !== null) query.set("ended", `>${since}`);
  if (asked !== null) query.set("on-request", asked);
  return query;
}

/** The words of the link, and how urgent it looks. */
export const KINDS: Record<Kind, { verb: string; family: Family }> = {
  unknown: { verb: "Check", family: "bad" },
  "log-room": { verb: "Look", family: "bad" },
  "lost-runner-holds-lock": { verb: "Look", family: "bad" },
  "dead-letters": { verb: "Look", family: "bad" },
  "cancel-not-confirmed": { verb: "Look", family: "blocked" },
  "long-wait": { verb: "Why", family: "blocked" },
  failures: { verb: "Show", family: "bad" },
  lag: { verb: "Measure", family: "blocked" },
  "runner-conflict": { verb: "Show", family: "bad" },
  "undelivered-notices": { verb: "Look", family: "bad" },
  "open-questions": { verb: "Answer", family: "blocked" },
};

/** "src, docs and 2 more", in `workspace` if it is named: "shop:src", "all of shop". */
export function placeOf(paths: readonly string[], more: number, workspace?: string): string {
  if (paths.length === 0) return workspace === undefined ? "the whole workspace" : `all of ${workspace}`;
  const named = paths.join(", ") + (more > 0 ? ` and ${count(more)} more` : "");
  return workspace === undefined ? named : `${workspace}:${named}`;
}

/** "412 events in the last hour, 3 in this minute; at most 40 in a minute, 7 minutes ago." The last minute has only begun. */
export function rateInWords(minutes: readonly number[]): string {
  const sum = minutes.reduce((all, one) => all + one, 0);
  const last = minutes.at(-1) ?? 0;
  if (sum === 0) return "No events in the last hour.";
  const most = Math.max(...minutes);
  const since = minutes.length - 1 - minutes.lastIndexOf(most);
  const before = since === 0 ? "never more" : `at most ${count(most)} in a minute, ${plural(since, "minute")} ago`;
  return `${plural(sum, "event")} in the last hour, ${count(last)} in this minute; ${before}.`;
}

/** Heights of bars from 0 to `height`; what is not 0 is seen. */
export function heights(values: readonly number[], height: number): number[] {
  const most = Math.max(1, ...values);
  return values.map((value) => (value === 0 ? 0 : Math.max(1, (value / most) * height)));
}
