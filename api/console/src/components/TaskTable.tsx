// Tasks as rows; cards below 720 px. Only those in sight are in the document; rows have one height, so the place of
// each is known.
import { type Signal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { Row } from "../lib/api";
import { shortcut } from "../lib/keys";
import { here, place } from "../lib/router";
import { type Sort, type SortKey, nextSort } from "../lib/sorting";
import { type Drawn, drawn } from "../lib/window";
import { TaskRow } from "./TaskRow";

const ROW_PIXELS = 37;
/** Before the window has been measured. */
const FIRST_ROWS = 40;

interface TaskTableProps {
  tasks: readonly Row[];
  /** Of all that the search finds; null if that is not known. */
  total: number | null;
  sort: Sort | null;
  /** Ids that are chosen; null where nothing can be. */
  picked: Signal<ReadonlySet<string>> | null;
  /** Called with the rows that are in the document. */
  seen: (rows: Drawn) => void;
}

export function TaskTable({ tasks, total, sort, picked, seen }: TaskTableProps) {
  const body = useRef<HTMLTableSectionElement>(null);
  const { first, end, height } = useDrawn(body, tasks.length);
  useEffect(() => seen({ first, end }), [first, end, tasks.length, sort?.key, sort?.down]);
  const pick = usePick(tasks, picked);
  useRowKeys(body, tasks, pick);
  const all = picked !== null && tasks.length > 0 && tasks.every((one) => picked.value.has(one.id));
  const columns = picked === null ? 8 : 9;
  return (
    <table class="table task-table" aria-rowcount={total === null ? -1 : total + 1}>
      <thead>
        <tr aria-rowindex={1}>
          {picked !== null && (
            <th scope="col" class="cell-pick">
              <label>
                <input
                  type="checkbox"
                  aria-label={`Select all ${tasks.length} loaded tasks`}
                  checked={all}
                  onChange={() => {
                    picked.value = all ? new Set() : new Set(tasks.map((one) => one.id));
                  }}
                />
              </label>
            </th>
          )}
          {HEADS.map(([key, name, side]) => (
            <Head key={key} of={key} name={name} side={side} sort={sort} />
          ))}
          <OrderHead sorted={sort !== null} />
        </tr>
      </thead>
      <tbody ref={body}>
        <Spacer pixels={first * height} columns={columns} />
        {tasks.slice(first, end).map((task, index) => (
          <TaskRow key={task.id} task={task} index={first + index} picked={picked?.value.has(task.id) ?? false} pick={pick} />
        ))}
        <Spacer pixels={(tasks.length - end) * height} columns={columns} />
      </tbody>
    </table>
  );
}

const HEADS: readonly (readonly [SortKey, string, "right" | ""])[] = [
  ["status", "Status", ""],
  ["title", "Task", ""],
  ["workspace", "Workspace", ""],
  ["attempt", "Attempt", "right"],
  ["runner", "Runner", ""],
  ["waited", "Waited", "right"],
  ["ran", "Ran", "right"],
];
const CELLS: Record<SortKey, string> = {
  status: "status",
  title: "title",
  workspace: "place",
  attempt: "attempt",
  runner: "runner",
  waited: "waited",
  ran: "ran",
};

function Head({ of, name, side, sort }: { of: SortKey; name: string; side: string; sort: Sort | null }) {
  const here = sort?.key === of ? sort : null;
  return (
    <th scope="col" class={`${side} cell-${CELLS[of]}`} aria-sort={here === null ? undefined : here.down ? "descending" : "ascending"}>
      <a href={otherwise(nextSort(sort, of), "sort")} title={`sort what is loaded by ${name.toLowerCase()}`}>
        {name}
        {here !== null && <span aria-hidden="true">{here.down ? "▾" : "▴"}</span>}
      </a>
    </th>
  );
}

/** The one order that the API has: of all tasks, not only of those that are loaded. */
function OrderHead({ sorted }: { sorted: boolean }) {
  const oldest = place.value.query.get("order") === "oldest";
  return (
    <th scope="col" class="right cell-created" aria-sort={sorted ? undefined : oldest ? "ascending" : "descending"}>
      <a href={otherwise(sorted || oldest ? null : "oldest", "order")} title={sorted || oldest ? "newest first" : "oldest first"}>
        Created{!sorted && <span aria-hidden="true">{oldest ? "▴" : "▾"}</span>}
      </a>
    </th>
  );
}

/** This list in another order. */
function otherwise(value: string | null, name: "sort" | "order"): string {
  return here({ sort: null, [name]: value });
}

function Spacer({ pixels, columns }: { pixels: number; columns: number }) {
  if (pixels <= 0) return null;
  return (
    <tr class="spacer" aria-hidden="true">
      <td colSpan={columns} style={{ height: `${pixels}px` }} />
    </tr>
  );
}

/** Which rows belong into the document, and how high one is. */
function useDrawn(body: RefObject<HTMLTableSectionElement | null>, count: number): Drawn & { height: number } {
  const height = useSignal(ROW_PIXELS);
  const rows = useSignal<Drawn>({ first: 0, end: FIRST_ROWS });
  const look = () => {
    const host = body.current;
    if (host === null) return;
    const [one, other] = host.querySelectorAll<HTMLElement>(".row");
    if (one !== undefined && other !== undefined) height.value = other.offsetTop - one.offsetTop || height.value;
    const now = drawn(count, height.value, Math.max(0, -host.getBoundingClientRect().top), innerHeight, 0);
    if (now.first !== rows.value.first || now.end !== rows.value.end) rows.value = now;
  };
  useLayoutEffect(look);
  useEffect(() => {
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [count]);
  const end = Math.min(rows.value.end, count);
  return { first: Math.min(rows.value.first, end), end, height: height.value };
}

type Pick = ((task: Row, index: number, range: boolean) => void) | null;

function usePick(tasks: readonly Row[], picked: TaskTableProps["picked"]): Pick {
  const last = useRef<string | null>(null); // its place changes with the order, and with new rows
  if (picked === null) return null;
  return (task, index, range) => {
    const chosen = new Set(picked.value);
    const on = !chosen.has(task.id);
    const before = range ? tasks.findIndex((one) => one.id === last.current) : -1;
    const [from, to] = before < 0 ? [index, index] : [Math.min(before, index), Math.max(before, index)];
    for (const one of tasks.slice(from, to + 1)) on ? chosen.add(one.id) : chosen.delete(one.id);
    last.current = task.id;
    picked.value = chosen;
  };
}

/** `j` and `k` go through the rows, `x` chooses one. */
function useRowKeys(body: RefObject<HTMLTableSectionElement | null>, tasks: readonly Row[], pick: Pick): void {
  const latest = useRef({ tasks, pick });
  latest.current = { tasks, pick };
  useEffect(() => {
    const here = () => Number(document.activeElement?.closest<HTMLElement>("tr.row")?.dataset["index"] ?? -1);
    const link = (index: number) => body.current?.querySelector<HTMLElement>(`tr[data-index="${index}"] a.row-link`);
    const step = (by: number) => {
      const rows = [...(body.current?.querySelectorAll<HTMLElement>("tr.row") ?? [])];
      const inSight = rows.find((row) => row.getBoundingClientRect().top >= 0);
      const at = here();
      const next = at < 0 ? Number(inSight?.dataset["index"] ?? 0) : at + by;
      link(Math.max(0, Math.min(latest.current.tasks.length - 1, next)))?.focus();
      dispatchEvent(new Event("scroll")); // the rows around it are drawn before the next key comes
    };
    const choose = () => {
      const index = here();
      const task = latest.current.tasks[index];
      if (task !== undefined) latest.current.pick?.(task, index, false);
    };
    const ends = [
      shortcut({ keys: "j", what: "next row", run: () => step(1) }),
      shortcut({ keys: "k", what: "previous row", run: () => step(-1) }),
      shortcut({ keys: "x", what: "choose the row", run: choose }),
    ];
    return () => ends.forEach((end) => end());
  }, []);
}
