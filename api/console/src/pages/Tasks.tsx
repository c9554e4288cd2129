// The list of tasks. Rows change in their place; new ones wait above until they are asked for, so nothing moves
// under the eye or the pointer.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { type Counts, FilterChips, StatusTabs } from "../components/Filters";
import { NoTasks } from "../components/NoTasks";
import { SavedViews } from "../components/SavedViews";
import { SelectionBar } from "../components/SelectionBar";
import { Loaded } from "../components/States";
import { TaskTable } from "../components/TaskTable";
import { type Ask, type Row, get, sawSeq } from "../lib/api";
import { ahead, apiNow, apiTime } from "../lib/clock";
import { count } from "../lib/format";
import { shortcut } from "../lib/keys";
import { sawLabels } from "../lib/known_values";
import { timeOf } from "../lib/moment";
import { usePresentRows } from "../lib/present";
import { type Filters, fromUrl, isEmpty, isRelative, toApi } from "../lib/query";
import { useMoment } from "../lib/resource";
import { type Listed, begin, extended, newest, refreshed, refreshedOldest, updated } from "../lib/rows";
import { at, here, place } from "../lib/router";
import { type Sort, inOrder, order, parseSort } from "../lib/sorting";
import type { Drawn } from "../lib/window";

const FIRST_PAGE = 50;
const NEXT_PAGE = 200;
/** Rows that are in sight and were loaded earlier are asked for by id; the API takes so many. */
const MOST_IDS = 200;
/** So near to the last loaded row the next page is loaded. */
const NEAR_ROWS = 40;
/** Rows that come into sight are asked for once the list stands still, and at most once a second. */
const SETTLED_MS = 250;
const LEAST_MS = 1000;

export function TasksPage() {
  const filters = fromUrl(place.value.query);
  const oldest = place.value.query.get("order") === "oldest";
  return (
    <section class="page tasks" aria-label="Tasks">
      <List key={JSON.stringify([filters, at.value === null, oldest])} filters={filters} oldest={oldest} />
    </section>
  );
}

function List({ filters, oldest }: { filters: Filters; oldest: boolean }) {
  const key = JSON.stringify([filters, oldest, isRelative(filters) && ahead.value]);
  const rows = useSignal<Listed | null>(null);
  const picked = useSignal<ReadonlySet<string>>(new Set());
  const inSight = useRef<() => readonly Row[]>(() => []);
  // in the past "two hours ago" is two hours before the moment that is shown: a link to it finds the same every day
  const query = async (then: string | null, ask: Ask = {}) => {
    const time = then !== null && isRelative(filters) ? await timeOf(then, ask) : apiTime();
    return { ...toApi(filters, time), order: oldest ? "oldest" : "newest", view: "row", at: then };
  };
  const found = useMoment(
    key,
    async (then, signal) => {
      const page = await get("/tasks", { query: { ...(await query(then, { signal })), limit: FIRST_PAGE }, signal });
      if (then === null) for (const task of page.items) sawSeq(task.seq);
      sawLabels(page.items);
      const there = new Set(page.items.map((one) => one.id));
      const id = inSight.current().map((one) => one.id).filter((one) => !there.has(one)).slice(0, MOST_IDS);
      const seen = id.length === 0 || then !== null ? [] : (await get("/tasks", { query: { id, view: "row", limit: MOST_IDS }, signal })).items;
      if (rows.value === null || then !== null) rows.value = begin(page);
      else rows.value = updated(oldest ? refreshedOldest(rows.value, page) : refreshed(rows.value, page), seen);
      return page;
    },
    (news) => news.tasks.size > 0,
  );
  const counts = useMoment(
    `count ${JSON.stringify(filters)}`,
    async (then, signal) => (then === null ? countAll(filters, signal) : null),
    (news) => news.tasks.size > 0,
  );
  const show = () => {
    if (rows.value === null || rows.value.fresh.length === 0) return;
    rows.value = newest(rows.value);
    scrollTo(0, 0);
  };
  useEffect(() => shortcut({ keys: ".", what: "show new rows", run: show }), []);
  const more = async () => {
    const cursor = rows.value?.cursor;
    if (cursor == null) return;
    const page = await get("/tasks", { query: { ...(await query(at.value)), limit: NEXT_PAGE, cursor } });
    // a list that has begun anew meanwhile goes on elsewhere
    if (rows.value?.cursor === cursor) rows.value = extended(rows.value, page);
  };
  const total = whole(counts.data.value?.total ?? null, rows.value);
  return (
    <>
      <header class="page-head">
        <div class="title-row">
          <h1 tabIndex={-1}>Tasks</h1>
          <Total shown={rows.value?.rows.length ?? 0} total={total} />
          {at.value === null && <SavedViews filters={filters} />}
        </div>
        <StatusTabs filters={filters} counts={counts.data.value} />
        <FilterChips filters={filters} />
      </header>
      <Loaded of={found} rows={12}>
        {() =>
          rows.value === null ? null : (
            <Rows listed={rows.value} filters={filters} total={total} picked={picked} inSight={inSight} show={show} more={more} reload={found.reload} />
          )
        }
      </Loaded>
    </>
  );
}

interface Counted {
  count: number;
  capped: boolean;
}

interface AllCounts extends Counts {
  /** Of what the filters find. */
  total: Counted;
}

/** What each tab would find, and what is found: a tab replaces the filters by status and by lock, and keeps the others. */
async function countAll(filters: Filters, signal: AbortSignal): Promise<AllCounts> {
  const { status, lock, ...others } = filters;
  const ask = (of: Filters) => get("/tasks/count", { query: toApi(of, apiTime()), signal });
  const [all, waiting, own] = await Promise.all([ask(others), ask({ ...others, lock: ["waiting"] }), lock === undefined ? null : ask(filters)]);
  const by_status: Counts["by_status"] = all.by_status;
  const ofStatus = status?.reduce((sum, one) => sum + (by_status[one as keyof typeof by_status] ?? 0), 0);
  return { by_status, waiting: waiting.count, total: own ?? { count: ofStatus ?? all.count, capped: all.capped } };
}

/** What was not counted to its end, but is all loaded, is counted by that. */
function whole(total: Counted | null, listed: Listed | null): Counted | null {
  if (total?.capped && listed?.cursor === null && !listed.gap) return { count: listed.rows.length + listed.fresh.length, capped: false };
  return total;
}

function words({ count: number, capped }: Counted): string {
  return `${count(number)}${capped ? "+" : ""}`;
}

function Total({ shown, total }: { shown: number; total: Counted | null }) {
  if (total === null) return null;
  return (
    <span class="dim" role="status">
      {count(shown)} of {words({ ...total, count: Math.max(total.count, shown) })}
    </span>
  );
}

interface RowsProps {
  listed: Listed;
  filters: Filters;
  total: Counted | null;
  picked: Signal<ReadonlySet<string>>;
  /** The rows that are in the document. */
  inSight: { current: () => readonly Row[] };
  show: () => void;
  more: () => Promise<void>;
  reload: () => void;
}

function Rows({ listed, filters, total, picked, inSight, show, more, reload }: RowsProps) {
  const loading = useRef(false);
  const failed = useSignal(false);
  const sort = parseSort(place.value.query.get("sort"));
  const rows = useSorted(listed, sort);
  const drawn = useRef<Drawn>({ first: 0, end: 0 });
  inSight.current = () => rows.slice(drawn.current.first, drawn.current.end);
  const settled = useSettled(reload);
  const compared = useSignal<Drawn>({ first: 0, end: FIRST_PAGE });
  usePresentRows(rows.slice(compared.value.first, compared.value.end).map((task) => task.id));
  // a page of the past looks at so many tasks only: it may be empty, and another one follow
  if (listed.rows.length === 0 && listed.fresh.length === 0 && listed.cursor === null) return <NoTasks filtered={!isEmpty(filters)} />;
  const next = async () => {
    if (loading.current) return;
    loading.current = true;
    failed.value = false;
    await more().catch(() => {
      failed.value = true;
    });
    loading.current = false;
  };
  const byItself = at.value === null && sort === null;
  const seen = (now: Drawn) => {
    drawn.current = now;
    if (at.value !== null) compared.value = now;
    // rows that come into sight may have changed while nothing asked for them
    else if (now.end > FIRST_PAGE || sort !== null) settled();
    if (byItself && listed.cursor !== null && !failed.value && now.end > listed.rows.length - NEAR_ROWS && now.first > 0) void next();
  };
  const others = total !== null && total.count > listed.rows.length ? words(total) : null;
  return (
    <>
      {sort !== null && <SortNote sort={sort} loaded={listed.rows.length} total={total} />}
      <div class="fresh" role="status">
        {listed.fresh.length > 0 && (
          <button type="button" class="button" onClick={show}>
            {listed.gap ? `${count(listed.fresh.length)}+` : count(listed.fresh.length)} new · press <kbd>.</kbd>
          </button>
        )}
      </div>
      <TaskTable tasks={rows} total={total === null || total.capped ? null : total.count} sort={sort} picked={at.value === null ? picked : null} seen={seen} />
      {listed.cursor !== null && (
        <button type="button" class="button more" onClick={() => void next()}>
          {failed.value ? "Loading more failed: try again" : at.value === null ? `Show ${NEXT_PAGE} more` : "Show more"}
        </button>
      )}
      {at.value === null && <SelectionBar rows={listed.rows} picked={picked} filters={filters} others={others} after={reload} />}
    </>
  );
}

/** What runs `run` once nothing has called it for a while, and at most once a second. */
function useSettled(run: () => void): () => void {
  const state = useRef<{ timer?: ReturnType<typeof setTimeout>; ran: number }>({ ran: 0 });
  useEffect(() => () => clearTimeout(state.current.timer), []);
  return () => {
    const wait = Math.max(SETTLED_MS, state.current.ran + LEAST_MS - Date.now());
    clearTimeout(state.current.timer);
    state.current.timer = setTimeout(() => {
      state.current.ran = Date.now();
      run();
    }, wait);
  };
}

/** In the order that was asked for. It is made when it is asked for and when rows come, not when they change: nothing moves. */
function useSorted(listed: Listed, sort: Sort | null): Listed["rows"] {
  const ids = useMemo(
    () => (sort === null ? null : order(listed.rows, sort, apiNow.peek())),
    // as many others may stand in the place of those that were there
    [sort?.key, sort?.down, listed.rows.length, listed.rows[0]?.id],
  );
  return ids === null ? listed.rows : inOrder(listed.rows, ids);
}

function SortNote({ sort, loaded, total }: { sort: Sort; loaded: number; total: Counted | null }) {
  const all = total !== null && !total.capped && total.count <= loaded;
  return (
    <p class="sort-note" role="status">
      Sorted by {sort.key}: {all ? `all ${count(loaded)} tasks` : `only the ${count(loaded)} tasks that are loaded, not the others`}.{" "}
      <a href={here({ sort: null })}>Newest first</a>
    </p>
  );
}
