// The sentence of `why`, taken apart: other tasks become links, times short ones, and the task's own id is left out.

import { actorWords } from "./log_lines";

export type Part =
  | { kind: "text"; text: string }
  | { kind: "task"; id: string; title: string }
  | { kind: "time"; at: string };

interface Named {
  task_id: string;
  title: string | null;
}

/** The page has buttons for it. */
const ON_THE_COMMAND_LINE = /; answer with `towpath answer [^`]*`/;
/** The page has the output, and tells how much of it is shown. */
const CUT_OUTPUT = /; output: last \d+ KiB of [\d.]+ [KM]iB/;
const TIME = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/g;

/** What an end tells, without what the page shows anyway. */
export function told(message: string): string {
  return message.replace(CUT_OUTPUT, "");
}

/** `others` are the tasks that the sentence may name, as it names them: `title (id)` or the id alone. */
export function parts(sentence: string, own: string, others: readonly Named[]): Part[] {
  const short = sentence.replace(` (${own})`, "").replace(ON_THE_COMMAND_LINE, "");
  let found: Part[] = [{ kind: "text", text: actorWords(told(short)) }];
  for (const { task_id: id, title } of others) {
    const name = title !== null && sentence.includes(`${title} (${id})`) ? `${title} (${id})` : id;
    found = split(found, name, { kind: "task", id, title: title ?? id });
  }
  return found.flatMap((part) => (part.kind === "text" ? times(part.text) : [part]));
}

function split(found: readonly Part[], name: string, part: Part): Part[] {
  return found.flatMap((one) => {
    if (one.kind !== "text") return [one];
    return one.text
      .split(name)
      .flatMap((text, index): Part[] => (index === 0 ? [{ kind: "text", text }] : [part, { kind: "text", text }]));
  });
}

function times(text: string): Part[] {
  const found: Part[] = [];
  let from = 0;
  for (const one of text.matchAll(TIME)) {
    found.push({ kind: "text", text: text.slice(from, one.index) }, { kind: "time", at: one[0].replace(" ", "T") });
    from = one.index + one[0].length;
  }
  return [...found, { kind: "text", text: text.slice(from) } as const].filter((part) => part.kind !== "text" || part.text !== "");
}
