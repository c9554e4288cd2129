// What a search may go on with: qualifiers where a word begins, values behind a qualifier. Pure; what is known of
// workspaces, runners and labels comes from the caller.
import { QUALIFIERS, type Qualifier } from "./query";
import { WORD } from "./status";

export type Known = Partial<Record<Qualifier, readonly string[]>>;

export interface Suggestion {
  /** Takes the place of the word. */
  text: string;
  hint: string;
}

export interface Completion {
  /** The word that suggestions replace. */
  from: number;
  to: number;
  options: readonly Suggestion[];
}

const MOST = 12;

const HINTS: Record<Qualifier, string> = {
  status: "what it is doing",
  workspace: "the workspace that it claims",
  pool: "of which runners one takes it",
  label: "name:value",
  runner: "where its last attempt is or was",
  reason: "why it did not succeed",
  exit: "the exit code of its command",
  lock: "waiting or held",
  attempts: "at least so many",
  asking: "a question of its job is open",
  "on-request": "whether it was canceled, stopped by a key, or refused",
  created: "<2h: less than two hours ago; >2026-01-31: after it",
  ended: "<2h: less than two hours ago; >2026-01-31: after it",
  id: "an id, its beginning or its end",
};
const ORDER: readonly Qualifier[] = [
  "status", "workspace", "label", "runner", "created", "reason", "exit", "lock", "pool", "ended", "attempts", "asking", "on-request", "id",
];

const SPANS: readonly Suggestion[] = [
  { text: "<1h", hint: "in the last hour" },
  { text: "<24h", hint: "in the last day" },
  { text: "<7d", hint: "in the last week" },
  { text: ">2h", hint: "more than two hours ago" },
  { text: ">1d", hint: "more than a day ago" },
];

const VALUES: Partial<Record<Qualifier, readonly Suggestion[]>> = {
  status: (["running", "queued", "dispatched", "created", "failed", "submit-failed", "succeeded", "canceled"] as const).map((text) => ({
    text,
    hint: WORD[text] === text ? "" : WORD[text],
  })),
  lock: [
    { text: "waiting", hint: "for others to release it" },
    { text: "held", hint: "by this task" },
  ],
  "on-request": [
    { text: "false", hint: "without what was canceled or refused" },
    { text: "true", hint: "" },
  ],
  asking: [{ text: "true", hint: "" }],
  created: SPANS,
  ended: SPANS,
  exit: [
    { text: "1", hint: "" },
    { text: "2", hint: "" },
    { text: "126", hint: "not executable" },
    { text: "127", hint: "no such command" },
  ],
  reason: [
    "exit", "timeout", "killed", "runner-lost", "error", "workspace-locked", "workspace-changed", "no-runner", "rejected", "unreachable", "deadline",
  ].map((text) => ({ text, hint: "" })),
  attempts: [
    { text: ">1", hint: "tried again" },
    { text: ">2", hint: "" },
  ],
};

/** What may stand in the place of the word at `caret`. */
export function complete(text: string, caret: number, known: Known = {}): Completion {
  const [from, to] = wordAt(text, caret);
  const word = text.slice(from, caret);
  const colon = word.indexOf(":");
  if (colon < 0) return { from, to, options: names(word) };
  const name = word.slice(0, colon).toLowerCase();
  if (!isQualifier(name)) return { from, to, options: [] };
  return { from, to, options: values(name, word.slice(colon + 1), known) };
}

function names(word: string): Suggestion[] {
  const begun = word.toLowerCase();
  return ORDER.filter((name) => name.startsWith(begun)).map((name) => ({ text: `${name}:`, hint: HINTS[name] }));
}

function values(name: Qualifier, begun: string, known: Known): Suggestion[] {
  const all = [...(VALUES[name] ?? []), ...(known[name] ?? []).map((text) => ({ text, hint: "" }))];
  const wanted = begun.replaceAll('"', "").toLowerCase();
  const rank = (one: Suggestion) => (one.text.toLowerCase().startsWith(wanted) ? 0 : 1);
  return all
    .filter((one, index) => one.text.toLowerCase().includes(wanted) && all.findIndex((other) => other.text === one.text) === index)
    .toSorted((one, other) => rank(one) - rank(other))
    .slice(0, MOST)
    .map(({ text, hint }) => ({ text: `${name}:${/\s/.test(text) ? `"${text}"` : text}`, hint }));
}

/** `text` with a suggestion in its place, and where the caret then is: behind a value there is a space. */
export function applied(text: string, { from, to }: Completion, one: Suggestion): { text: string; caret: number } {
  const space = one.text.endsWith(":") || text[to] === " " ? "" : " ";
  const before = text.slice(0, from) + one.text + space;
  return { text: before + text.slice(to), caret: before.length + (space === "" && text[to] === " " ? 1 : 0) };
}

/** The word around `caret`; blanks within quotes belong to it. */
function wordAt(text: string, caret: number): [number, number] {
  let [from, quoted] = [0, false];
  for (let at = 0; at < caret; at += 1) {
    if (text[at] === '"') quoted = !quoted;
    else if (!quoted && /\s/.test(text[at] ?? "")) from = at + 1;
  }
  let to = caret;
  while (to < text.length && (quoted || !/\s/.test(text[to] ?? ""))) {
    if (text[to] === '"') quoted = !quoted;
    to += 1;
  }
  return [from, to];
}

function isQualifier(name: string): name is Qualifier {
  return (QUALIFIERS as readonly string[]).includes(name);
}
