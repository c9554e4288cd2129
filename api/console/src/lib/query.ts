// The search of tasks: `status:running workspace:shop label:team:web` and text, to and from the URL's parameters.

/** Qualifiers by the API's parameter; the last ones may be given several times. */
export const QUALIFIERS = ["workspace", "pool", "runner", "reason", "exit", "lock", "asking", "finished_after", "id", "status", "label"] as const;
export type Qualifier = (typeof QUALIFIERS)[number];
const REPEATED: ReadonlySet<string> = new Set<Qualifier>(["status", "label"]);

export type Filters = Partial<Record<Qualifier | "q", string[]>>;

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

/** The parameters of the API's routes of tasks. */
export function toApi(filters: Filters): Record<string, string | readonly string[]> {
  const names: Partial<Record<string, string>> = { exit: "exit_code" };
  return Object.fromEntries(
    Object.entries(filters).map(([name, values]) => [names[name] ?? name, REPEATED.has(name) ? values : (values[0] ?? "")]),
  );
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
