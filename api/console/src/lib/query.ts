// The search of tasks: `status:running workspace:shop label:team:web` and text, to and from the URL's parameters.

/** Qualifiers by the API's parameter; the last ones may be given several times. */
export const QUALIFIERS = [
  "workspace", "pool", "runner", "reason", "exit", "lock", "attempts", "asking", "on-request", "id", "created", "ended", "status", "label",
] as const;
export type Qualifier = (typeof QUALIFIERS)[number];
const REPEATED: ReadonlySet<string> = new Set<Qualifier>(["created", "ended", "status", "label"]);

export type Filters = Partial<Record<Qualifier | "q", string[]>>;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether `text` is the whole id of a task. */
export function isTaskId(text: string): boolean {
  return UUID.test(text);
}

/** Whether the API may find a task by `text`, as the beginning or end of its id. */
export function isIdPart(text: string): boolean {
  return /^[0-9a-f-]{4,36}$/i.test(text);
}

/** What a person has typed. Text without a known qualifier is `q`, or `id` if it looks like a part of one. */
export function parse(text: string): Filters {
  const found: Filters = {};
  const words: string[] = [];
  for (const [, word = ""] of text.matchAll(/((?:[^\s"]|"[^"]*"?)+)/g)) {
    const colon = word.indexOf(":");
    const name = word.slice(0, Math.max(0, colon)).toLowerCase();
    const value = unquoted(word.slice(colon + 1));
    if (!isQualifier(name)) words.push(unquoted(word));
    else if (value !== "") found[name] = REPEATED.has(name) ? [...new Set([...(found[name] ?? []), value])] : [value];
  }
  const rest = words.join(" ");
  if (/^[0-9a-f-]{6,36}$/i.test(rest) && /\d/.test(rest)) found.id = [rest.toLowerCase()];
  else if (rest !== "") found.q = [rest];
  return found;
}

/** The text that `parse` takes back. */
export function format(filters: Filters): string {
  const parts = QUALIFIERS.flatMap((name) => (filters[name] ?? []).map((value) => `${name}:${quoted(value)}`));
  return [...parts, ...(filters.q ?? [])].join(" ");
}

/** The filters that a URL has. */
export function fromUrl(query: URLSearchParams): Filters {
  const found: Filters = {};
  for (const name of [...QUALIFIERS, "q"] as const) {
    const values = query.getAll(name).filter((value) => value !== "");
    if (values.length > 0) found[name] = REPEATED.has(name) ? values : values.slice(-1);
  }
  return found;
}

/** `filters` with one value of `name` left out. */
export function without(filters: Filters, name: keyof Filters, value: string): Filters {
  const rest = { ...filters, [name]: (filters[name] ?? []).filter((one) => one !== value) };
  if (rest[name]?.length === 0) delete rest[name];
  return rest;
}

/** Whether what `filters` find depends on the time at which they are asked. */
export function isRelative({ created = [], ended = [] }: Filters): boolean {
  return [...created, ...ended].some((value) => SPAN.test(value));
}

/** The parameters of the API's routes of tasks, asked at `now`. What it would not understand it gets as it is, and refuses with a reason. */
export function toApi(filters: Filters, now: number): Record<string, string | readonly string[]> {
  const found: Record<string, string | readonly string[]> = {};
  for (const [name, values] of Object.entries(filters)) {
    const first = values[0] ?? "";
    if (name === "created" || name === "ended") Object.assign(found, ...values.map((value) => times(TIMES[name], value, now)));
    else if (name === "attempts") found["min_attempt"] = atLeast(first);
    else found[name === "exit" ? "exit_code" : name.replace("-", "_")] = REPEATED.has(name) ? values : first;
  }
  return found;
}

const TIMES = { created: ["created_after", "created_before"], ended: ["finished_after", "finished_before"] } as const;
const SIGNED = /^([<>]?)=?(.*)$/;
const SPAN = /^[<>]?=?(\d{1,6})([smhdw])$/;
const STAMP = /^(\d{4}-\d\d-\d\d)(t\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(z|[+-]\d\d:\d\d)?$/i;
const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

/** `<2h`: less than two hours ago; `>2h`: longer ago; `>2026-01-31`: after it; `2026-01-31`: on that day. UTC. */
function times([after, before]: readonly [string, string], value: string, now: number): Record<string, string> {
  const [, sign = "", rest = ""] = SIGNED.exec(value) ?? [];
  const [, amount, unit = ""] = SPAN.exec(value) ?? [];
  if (amount !== undefined) {
    const moment = new Date(now - Number(amount) * (UNIT_SECONDS[unit] ?? 0) * 1000).toISOString();
    return sign === ">" ? { [before]: moment } : { [after]: moment };
  }
  const [, date, time = "T00:00", zone = "Z"] = STAMP.exec(rest) ?? [];
  const day = rest === date;
  const moment = Date.parse(`${date}${time}${zone}`.toUpperCase());
  if (Number.isNaN(moment)) return { [after]: value };
  const end = day ? moment + 86_400_000 : moment;
  if (sign === ">") return { [after]: new Date(end).toISOString() };
  if (sign === "<") return { [before]: new Date(moment).toISOString() };
  return { [after]: new Date(moment).toISOString(), [before]: new Date(end).toISOString() };
}

/** `3` and `>2` are both at least 3. */
function atLeast(value: string): string {
  const more = /^>(\d{1,9})$/.exec(value);
  return more === null ? value.replace(/^>=/, "") : String(Number(more[1]) + 1);
}

export function isEmpty(filters: Filters): boolean {
  return Object.keys(filters).length === 0;
}

function isQualifier(name: string): name is Qualifier {
  return (QUALIFIERS as readonly string[]).includes(name);
}

function unquoted(text: string): string {
  return text.replaceAll('"', "");
}

function quoted(text: string): string {
  return /\s/.test(text) ? `"${text}"` : text;
}
