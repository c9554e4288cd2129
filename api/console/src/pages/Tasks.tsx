// The list of tasks. Rows change in their place; new ones wait above until they are asked for, so nothing moves
// under the eye or the pointer.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { FilterChips, StatusTabs } from "../components/Filters";
import { Empty, Loaded } from "../components/States";
import { TaskTable } from "../components/TaskTable";
import { type Schemas, get, sawSeq } from "../lib/api";
import { count } from "../lib/format";
import { shortcut } from "../lib/keys";
import { type Filters, fromUrl, isEmpty, toApi } from "../lib/query";
import { useMoment } from "../lib/resource";
import { usePresentRows } from "../lib/present";
import { type Listed, begin, extended, newest, refreshed } from "../lib/rows";
import { at, place } from "../lib/router";

const PAGE = 50;

export function TasksPage() {
  const filters = fromUrl(place.value.query);
  return (
    <section class="page tasks" aria-label="Tasks">
      <List key={JSON.stringify([filters, at.value === null])} filters={filters} />
    </section>
  );
}

function List({ filters }: { filters: Filters }) {
  const query = toApi(filters);
  const key = JSON.stringify(query);
  const rows = useSignal<Listed | null>(null);
  const found = useMoment(
    key,
    async (then, signal) => {
      const page = await get("/tasks", { query: { ...query, view: "row", limit: PAGE, at: then }, signal });
      if (then === null) for (const task of page.items) sawSeq(task.seq);
      rows.value = rows.value === null || then !== null ? begin(page) : refreshed(rows.value, page);
      return page;
    },
    (news) => news.tasks.size > 0,
  );
  const { status: _, ...others } = query;
  const counts = useMoment(
    `count ${JSON.stringify(others)}`,
    async (then, signal) => (then === null ? get("/tasks/count", { query: others, signal }) : null),
    (news) => news.tasks.size > 0,
  );
  const show = () => {
    if (rows.value !== null) rows.value = newest(rows.value);
  };
  useEffect(() => shortcut({ keys: ".", what: "show new rows", run: show }), []);
  const more = async () => {
    const cursor = rows.value?.cursor;
    if (cursor == null) return;
    const page = await get("/tasks", { query: { ...query, view: "row", limit: PAGE, at: at.value, cursor } });
    if (rows.value !== null) rows.value = extended(rows.value, page);
  };
  return (
    <>
      <header class="page-head">
        <div class="title-row">
          <h1>Tasks</h1>
          <Total shown={rows.value?.rows.length ?? 0} counts={counts.data.value} filters={filters} />
        </div>
        <StatusTabs filters={filters} counts={counts.data.value?.by_status ?? null} />
        <FilterChips filters={filters} />
      </header>
      <Loaded of={found} rows={12}>
        {() => (rows.value === null ? null : <Rows listed={rows.value} filters={filters} show={show} more={more} />)}
      </Loaded>
    </>
  );
}

function Total({ shown, counts, filters }: { shown: number; counts: Schemas["TaskCount"] | null; filters: Filters }) {
  if (counts === null) return null;
  const wanted = filters.status;
  const total = wanted ? wanted.reduce((sum, one) => sum + (counts.by_status[one] ?? 0), 0) : counts.count;
  return (
    <span class="dim" role="status">
      {count(shown)} of {count(Math.max(total, shown))}
      {counts.capped && "+"}
    </span>
  );
}

interface RowsProps {
  listed: Listed;
  filters: Filters;
  show: () => void;
  more: () => Promise<void>;
}

function Rows({ listed, filters, show, more }: RowsProps) {
  const busy = useSignal(false);
  usePresentRows(listed.rows.map((task) => task.id));
  // a page of the past looks at so many tasks only: it may be empty, and another one follow
  if (listed.rows.length === 0 && listed.fresh.length === 0 && listed.cursor === null) return <NoTasks filtered={!isEmpty(filters)} />;
  const next = async () => {
    busy.value = true;
    await more().catch(() => undefined);
    busy.value = false;
  };
  return (
    <>
      <div class="fresh" role="status">
        {listed.fresh.length > 0 && (
          <button type="button" class="button" onClick={show}>
            {listed.gap ? `${count(listed.fresh.length)}+` : count(listed.fresh.length)} new · press <kbd>.</kbd>
          </button>
        )}
      </div>
      <TaskTable tasks={listed.rows} />
      {listed.cursor !== null && (
        <button type="button" class="button more" disabled={busy.value} onClick={() => void next()}>
          {at.value === null ? `Show ${PAGE} more` : "Show more"}
        </button>
      )}
    </>
  );
}

function NoTasks({ filtered }: { filtered: boolean }) {
  if (at.value !== null) return <Empty title={filtered ? "No task fitted this search" : "There was no task"} />;
  if (filtered) {
    return (
      <Empty title="No task fits this search">
        <p>Take a filter away, or wait: the list looks again by itself.</p>
      </Empty>
    );
  }
  return (
    <Empty title="No task yet">
      <p>Run one from a terminal; it shows here at once.</p>
      <pre>{"towpath run -- sh -c 'echo hello from $(hostname)'"}</pre>
      <p>Or let it hold a lock on a directory:</p>
      <pre>{'towpath workspaces add shop "$PWD/shop"\ntowpath run --workspace shop --path src -- make'}</pre>
    </Empty>
  );
}
