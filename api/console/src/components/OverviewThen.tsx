// The overview of the past: locks follow from the log; what the log does not hold is named, not filled in.
import { type Row, get } from "../lib/api";
import { count, plural } from "../lib/format";
import { type Entry, mostContended } from "../lib/locks";
import { useMoment } from "../lib/resource";
import { shown } from "../lib/safe_text";
import { type Titles, loadTitles } from "../lib/titles";
import { type Run, RunningCard, WaitLine } from "./Activity";
import { Link } from "./Link";
import { Page } from "./Page";

const MOST = 100;
const RUNS = 5;
const PATHS = 3;
const WAITS = 3;
const BEHIND = 2;
const TITLES = 100;

async function load(then: string | null, signal: AbortSignal) {
  const [locks, tasks] = await Promise.all([
    get("/locks", { query: { limit: MOST, at: then }, signal }),
    get("/tasks", { query: { status: "running", limit: RUNS, view: "row", at: then }, signal }),
  ]);
  const open = mostContended(locks.items).filter((one) => one.holders.length + one.waiters.length > 0);
  const ids = open.flatMap(({ waiters }) => waiters.slice(0, WAITS).flatMap((one) => [one.task_id, ...one.blocked_by.slice(0, BEHIND)]));
  return {
    open,
    more: locks.next_cursor != null,
    runs: tasks.items.map(run),
    allRuns: tasks.next_cursor == null,
    titles: await loadTitles([...new Set(ids)].slice(0, TITLES), signal),
  };
}

function run(task: Row): Run {
  return {
    task_id: task.id,
    title: task.title,
    since: task.started_at,
    workspace: task.workspace,
    holds: task.lock.state === "held",
    paths: task.lock_paths.slice(0, PATHS),
    more_paths: Math.max(0, task.lock_paths.length - PATHS),
  };
}

export function OverviewThen() {
  const found = useMoment("overview then", load, 0);
  return (
    <Page kind="overview" title="Overview" of={found} rows={4} total={() => "what the log tells of that moment"}>
      {({ open, more, runs, allRuns, titles }) => (
        <>
          <RunningCard runs={runs} total={allRuns ? runs.length : null} />
          <section class="card" aria-label="Locks">
            <h2>Locks</h2>
            {open.length === 0 && <p class="calm">Nothing was held, and nothing waited.</p>}
            <ul class="tally">
              {open.map((one) => (
                <li key={one.workspace}>
                  <Link to={`/locks/${encodeURIComponent(one.workspace)}`}>{shown(one.workspace)}</Link>
                  <b class="number">
                    {count(one.holders.length)} held · {count(one.waiters.length)} waiting
                  </b>
                  <Waits entry={one} titles={titles} />
                </li>
              ))}
            </ul>
            {more && <p class="dim">Of the first {MOST} workspaces by name; there are more.</p>}
          </section>
          <section class="card" aria-label="Not known of the past">
            <h2>Not known of the past</h2>
            <p>
              Runners and their heartbeats, what needed a person, how far readers were behind, the room of the log and dead letters are
              not in the log. All tasks of then are in <Link to="/tasks">the list of tasks</Link>.
            </p>
          </section>
        </>
      )}
    </Page>
  );
}

function Waits({ entry: { waiters }, titles }: { entry: Entry; titles: Titles }) {
  const named = (task_id: string) => ({ task_id, title: titles.get(task_id) ?? null });
  return (
    <>
      {waiters.slice(0, WAITS).map((one) => (
        <small key={`${one.task_id} ${one.attempt}`}>
          <WaitLine
            task={named(one.task_id)}
            paths={one.paths.slice(0, PATHS)}
            more={Math.max(0, one.paths.length - PATHS)}
            behind={one.blocked_by.map(named)}
            inTheWay={one.blocked_by.length}
          />
        </small>
      ))}
      {waiters.length > WAITS && <small class="dim">and {plural(waiters.length - WAITS, "other wait", "others wait")}</small>}
    </>
  );
}
