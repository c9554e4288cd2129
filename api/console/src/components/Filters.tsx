import type { Task } from "../lib/api";
import { count } from "../lib/format";
import { type Filters, without } from "../lib/query";
import { shown } from "../lib/safe_text";
import { type State, WORD } from "../lib/status";
import { Icon } from "./Icon";
import { Link } from "./Link";
import { Glyph } from "./Status";

type Status = Task["status"];

const TABS: readonly { title: string; status: readonly Status[]; state: State | null }[] = [
  { title: "All", status: [], state: null },
  { title: "Running", status: ["running"], state: "running" },
  { title: "Queued", status: ["queued"], state: "queued" },
  { title: "Dispatched", status: ["dispatched"], state: "dispatched" },
  { title: "Failed", status: ["failed", "submit-failed"], state: "failed" },
  { title: "Succeeded", status: ["succeeded"], state: "succeeded" },
  { title: "Canceled", status: ["canceled"], state: "canceled" },
  { title: "Created", status: ["created"], state: "created" },
];

export interface Counts {
  by_status: Partial<Record<Status, number>>;
  /** Those that wait for their lock. */
  waiting: number;
}

interface TabsProps {
  filters: Filters;
  counts: Counts | null;
}

/** The usual questions, one press each, with the number of answers. */
export function StatusTabs({ filters, counts }: TabsProps) {
  const chosen = new Set(filters.status ?? []);
  const waiting = filters.lock?.[0] === "waiting";
  return (
    <nav class="tabs" aria-label="By status">
      {TABS.map(({ title, status, state }) => {
        const here = !waiting && status.length === chosen.size && status.every((one) => chosen.has(one));
        const number = status.reduce((sum, one) => sum + (counts?.by_status[one] ?? 0), 0);
        return (
          <Link key={title} to="/tasks" params={{ ...filters, status, lock: [] }} current={here}>
            {state !== null && <Glyph state={state} />}
            {title}
            {state !== null && counts !== null && <span class="number dim">{count(number)}</span>}
          </Link>
        );
      })}
      <Link to="/tasks" params={{ ...filters, status: [], lock: waiting ? [] : ["waiting"] }} current={waiting}>
        <Glyph state="waiting" />
        Waiting for lock
        {counts !== null && <span class="number dim">{count(counts.waiting)}</span>}
      </Link>
    </nav>
  );
}

/** What is filtered by, each with a way to take it away. */
export function FilterChips({ filters }: { filters: Filters }) {
  const entries = Object.entries(filters) as [keyof Filters, string[]][];
  const chips = entries.flatMap(([name, values]) => values.map((value) => ({ name, value })));
  if (chips.length === 0) return null;
  return (
    <ul class="chips" aria-label="Filters">
      {chips.map(({ name, value }) => (
        <li key={`${name}:${value}`} class="chip">
          <span class="dim">{name === "q" ? "text" : name}</span>{" "}
          <bdi>{name === "status" ? (WORD[value as State] ?? shown(value)) : shown(value)}</bdi>
          <Remove filters={without(filters, name, value)} what={`${name} ${value}`} />
        </li>
      ))}
      <li>
        <Link to="/tasks" class="clear">
          Clear all
        </Link>
      </li>
    </ul>
  );
}

function Remove({ filters, what }: { filters: Filters; what: string }) {
  return (
    <Link to="/tasks" params={filters} class="bare" title={`without ${shown(what)}`}>
      <Icon name="close" />
      <span class="off-screen">without {shown(what)}</span>
    </Link>
  );
}
