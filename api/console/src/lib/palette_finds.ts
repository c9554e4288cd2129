// Where the palette finds its entries: the table of pages, the controls of the page that is shown, and the API.
import { PAGES } from "../pages";
import { get, lastSeq } from "./api";
import { apiTime } from "./clock";
import { capital, count, dayTime, shortId } from "./format";
import { shortcuts } from "./keys";
import { travel } from "./moment";
import type { Entry } from "./palette";
import { parse } from "./query";
import { at, go, href } from "./router";
import { shown } from "./safe_text";
import { WORD, stateOf } from "./status";
import { parseWhen } from "./when";

const CONTROLS = "main :is(.page-head, .past-banner, .fresh) button:not(:disabled)";
const MOST_TASKS = 6;

function visit(url: string): void {
  go(url);
  document.querySelector<HTMLElement>("main")?.focus();
}

export function pages(): Entry[] {
  return PAGES.flatMap(({ path, title, nav }) =>
    nav === undefined ? [] : [{ id: `page ${path}`, label: title, detail: `g ${nav.key}`, run: () => visit(href(path)) }],
  );
}

/** The buttons in the head of the page, and shortcuts that lead to no page. */
export function actions(): Entry[] {
  const buttons = [...document.querySelectorAll<HTMLButtonElement>(CONTROLS)].map((button, index) => ({
    id: `button ${index}`,
    label: button.ariaLabel ?? button.textContent?.trim() ?? "",
    run: () => {
      button.focus();
      button.click();
    },
  }));
  const keys = shortcuts().filter(({ keys }) => /^\S$/.test(keys));
  return [...buttons, ...keys.map(({ keys, what, run }) => ({ id: `key ${keys}`, label: capital(what), detail: keys, run }))];
}

/** The page that is shown as of the moment that `text` names: a sequence, a time, `10m ago`. */
export function moments(text: string): Entry[] {
  const when = parseWhen(text, new Date(apiTime()));
  if (when?.kind === "seq" && when.seq >= 1 && when.seq <= lastSeq.value) return [moment(`Go to sequence ${count(when.seq)}`, when.seq)];
  if (when?.kind === "time" && when.at.getTime() <= apiTime()) return [moment(`Go to ${dayTime(when.at)}`, when.at.toISOString())];
  return [];
}

function moment(label: string, then: number | string): Entry {
  return { id: "moment", label, detail: "this page as of then", run: () => travel(then, { jump: true }) };
}

/** Tasks by a part of the id or the title. */
export async function findTasks(text: string, signal: AbortSignal): Promise<Entry[]> {
  const { q, id } = parse(text);
  if (q === undefined && id === undefined) return [];
  const query = { ...(id === undefined ? { q: q?.[0] } : { id }), view: "row", limit: MOST_TASKS, at: at.value };
  const found = await get("/tasks", { query, signal });
  return found.items.map((task) => ({
    id: `task ${task.id}`,
    label: shown(task.title),
    detail: `${WORD[stateOf(task)]} · ${shortId(task.id)}`,
    run: () => visit(href(`/tasks/${task.id}`)),
  }));
}

export async function workspaces(signal: AbortSignal): Promise<Entry[]> {
  const found = await get("/workspaces", { query: { limit: 500, at: at.value }, signal });
  return found.items.map(({ id, root }) => ({
    id: `workspace ${id}`,
    label: shown(id),
    detail: shown(root),
    run: () => visit(href(`/locks/${encodeURIComponent(id)}`)),
  }));
}

/** None of the past: their heartbeats are not in the log. */
export async function runners(signal: AbortSignal): Promise<Entry[]> {
  if (at.value !== null) return [];
  const found = await get("/runners", { query: { limit: 200 }, signal });
  return found.items.map(({ id, state }) => ({
    id: `runner ${id}`,
    label: shown(id),
    detail: state,
    run: () => visit(href("/runners", { runner: id })),
  }));
}
