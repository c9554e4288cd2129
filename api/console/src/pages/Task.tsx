// One task: why it is where it is, what can be done about it, what it printed, and how it came there.
import { useEffect } from "preact/hooks";
import { Command } from "../components/Command";
import { Facts } from "../components/Facts";
import { CancelButton } from "../components/Cancel";
import { TaskLink } from "../components/Link";
import { Output } from "../components/Output";
import { Question } from "../components/Question";
import { Loaded } from "../components/States";
import { TaskStatus } from "../components/Status";
import { Ago, Moment, Span } from "../components/Time";
import { Trail } from "../components/Trail";
import { type Schemas, type Task, get, post, sawSeq } from "../lib/api";
import { commandLine } from "../lib/format";
import { type Resource, useMoment, useResource } from "../lib/resource";
import { at, href, place } from "../lib/router";
import { shown } from "../lib/safe_text";
import { type Part, parts } from "../lib/sentence";
import { roleMissing, session } from "../lib/session";
import { ended, mayCancel, mayDispatch, stateOf } from "../lib/status";
import { loadTitles } from "../lib/titles";
import type { PageProps } from "../pages";

interface Shown {
  task: Task;
  /** What it waits for, or what ended it. */
  why: Schemas["Why"];
}

const MOST_BLOCKERS = 20;
const TRAIL = "GET /tasks/{task_id}/events";

async function load(id: string, then: string | null, signal: AbortSignal): Promise<Shown> {
  const ask = { path: { task_id: id }, query: { at: then }, signal };
  const [task, why] = await Promise.all([get("/tasks/{task_id}", ask), get("/tasks/{task_id}/why", ask)]);
  if (then === null) sawSeq(task.seq);
  const near = why.blocked_by.slice(0, MOST_BLOCKERS).filter((one) => one.title === null);
  const titles = await loadTitles(near.map((one) => one.task_id), signal);
  const blocked_by = why.blocked_by.map((one) => ({ ...one, title: one.title ?? (titles.get(one.task_id) || null) }));
  return { task, why: { ...why, blocked_by } };
}

export function TaskPage({ params }: PageProps) {
  const id = params["id"] ?? "";
  const then = at.value;
  const found: Resource<Shown> = useMoment(
    id,
    (when, signal) => load(id, when, signal),
    (news) => news.tasks.has(id) || news.workspaces.has(found.data.value?.task.workspace ?? ""),
  );
  const title = found.data.value?.task.title;
  useEffect(() => {
    if (title !== undefined) document.title = `${then === null ? "" : `as of ${then} · `}${shown(title)} · Towpath`;
  }, [title, then]);
  return (
    <article class="page task">
      {found.data.value === null && <h1 class="off-screen">Task {id}</h1>}
      <Loaded of={found}>{(data) => <Content {...data} reload={found.reload} />}</Loaded>
    </article>
  );
}

function Content({ task, why, reload }: Shown & { reload: () => void }) {
  return (
    <>
      <header class="page-head">
        <p class="crumbs">
          <a href={href("/tasks")}>Tasks</a> / <span class="mono">{task.id}</span>
        </p>
        <div class="title-row">
          <h1 dir="auto">{shown(task.title)}</h1>
          <TaskStatus task={task} />
          {task.attempt > 0 && <span class="chip">attempt {task.attempt}</span>}
        </div>
        <Headline why={why} />
        <div class="actions">
          {mayDispatch(task) && <RunAgain task={task} after={reload} />}
          {mayCancel(task) && <CancelButton task={task} after={reload} />}
        </div>
      </header>
      {task.question != null && <Question taskId={task.id} question={task.question} after={reload} />}
      <div class="columns">
        <div>
          <OutputTail task={task} />
          <History task={task} />
        </div>
        <aside class="card" aria-label="Facts">
          <TaskFacts task={task} />
        </aside>
      </div>
    </>
  );
}

/** The sentence, and links to what stands in the way. */
function Headline({ why }: { why: Schemas["Why"] }) {
  return (
    <div class="why">
      <p dir="auto">{parts(why.sentence, why.task_id, why.blocked_by).map(drawn)}</p>
      {why.blocked_by.length > 1 && (
        <ul class="blockers">
          {why.blocked_by.slice(0, MOST_BLOCKERS).map((one) => (
            <li key={one.task_id}>
              <TaskLink id={one.task_id} title={one.title} /> {one.holds ? "holds" : "waits for"}{" "}
              <span class="mono">{one.paths.map(shown).join(" ")}</span>
              {one.token !== null && <span class="dim"> token {one.token}</span>} <span class="dim">since</span>{" "}
              <Moment at={one.since} />
            </li>
          ))}
          {why.blocked_by.length > MOST_BLOCKERS && <li class="dim">and {why.blocked_by.length - MOST_BLOCKERS} more</li>}
        </ul>
      )}
    </div>
  );
}

function drawn(part: Part, index: number) {
  if (part.kind === "task") return <TaskLink key={index} id={part.id} title={part.title} />;
  if (part.kind === "time") return <Moment key={index} at={part.at} />;
  return shown(part.text);
}

function RunAgain({ task, after }: { task: Task; after: () => void }) {
  const begin = () =>
    post("/tasks/{task_id}/dispatch", { path: { task_id: task.id } }, { attempt: task.attempt });
  return (
    <Command
      operation="POST /tasks/{task_id}/dispatch"
      label={task.attempt === 0 ? "Run" : "Run again"}
      kind="first"
      run={begin}
      done={`Attempt ${task.attempt + 1} begins.`}
      after={after}
    />
  );
}

function OutputTail({ task }: { task: Task }) {
  const tail = task.output_tail;
  const none = ended(stateOf(task)) ? "The log has no output of this attempt." : "The log has its end when the attempt has ended.";
  return (
    <section class="card" aria-label="Output">
      {tail !== null && <Output text={tail} title="Output" note="its end, as the log has it" />}
      {tail === null && <h2>Output</h2>}
      {tail === null && (
        <p class="dim">
          {none} All of it, live: <code>towpath logs -f {task.id}</code>
        </p>
      )}
    </section>
  );
}

function History({ task }: { task: Task }) {
  // the session comes with the first answers; what it permits is not known before
  const known = session.value !== null;
  const missing = known ? roleMissing(TRAIL) : null;
  return (
    <section class="card" aria-label="Trail">
      <h2>Trail</h2>
      {missing !== null && <p class="dim">Every event of this task, for the role {missing}.</p>}
      {known && missing === null && <Events task={task} />}
    </section>
  );
}

function Events({ task }: { task: Task }) {
  const then = at.value;
  const load = (signal: AbortSignal) =>
    get("/tasks/{task_id}/events", { path: { task_id: task.id }, query: { limit: 200 }, signal });
  const found = useResource(`${task.id} ${task.seq} ${task.lock.state}`, load);
  return (
    <Loaded of={found} rows={4}>
      {(page) => {
        const until = then !== null && /^\d+$/.test(then) ? Number(then) : Number.POSITIVE_INFINITY;
        return <Trail events={page.items.filter((one) => one.seq <= until)} taskId={task.id} />;
      }}
    </Loaded>
  );
}

function TaskFacts({ task }: { task: Task }) {
  const labels = Object.entries(task.labels);
  const where = task.workspace === null ? null : `${task.workspace}: ${task.lock_paths.join(" ") || "."}`;
  const lock = task.lock.state === "none" ? null : task.lock.state;
  const end = task.finished_at;
  return (
    <Facts
      rows={[
        ["Command", <code class="wrap">{shown(commandLine(task.command))}</code>],
        ["Workspace", where && <span class="mono">{shown(where)}</span>],
        ["Lock", lock && <>{lock}{task.lock.token !== null && <span class="dim"> · token {task.lock.token}</span>}</>],
        ["Place in line", task.lock.position],
        ["Runner", task.runner_id && <span class="mono">{shown(task.runner_id)}{task.runner_state && task.runner_state !== "alive" && ` (${task.runner_state})`}</span>],
        ["Exit code", task.exit_code],
        ["Reason", task.reason && shown(task.reason)],
        ["Message", task.message && shown(task.message)],
        ["Next attempt", task.next_attempt_at && <Moment at={task.next_attempt_at} />],
        ["Waited", task.dispatched_at && <Span from={task.dispatched_at} to={task.started_at ?? end} />],
        ["Ran", task.started_at && <Span from={task.started_at} to={end} />],
        ["Created", <Ago at={task.created_at} />],
        ["Started", task.started_at && <Moment at={task.started_at} />],
        ["Ended", end && <Moment at={end} />],
        ["Pool", shown(task.pool)],
        ["Timeout", task.timeout_seconds && `${task.timeout_seconds} s`],
        ["Attempts", task.retry && `at most ${task.retry.max_attempts}`],
        ["Labels", labels.length > 0 && labels.map(([name, value]) => (
          <a key={name} class="label" href={href("/tasks", { label: `${name}:${value}`, at: place.value.query.get("at") })}>
            {shown(name)}: {shown(value)}
          </a>
        ))],
        ["Last event", <span class="mono">{task.seq}</span>],
      ]}
    />
  );
}
