// One task: why it is where it is, what can be done about it, what its attempts did and printed, and how it came there.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { CancelButton } from "../components/Cancel";
import { Command } from "../components/Command";
import { Headline } from "../components/Headline";
import { NoSuchTask } from "../components/NoSuchTask";
import { LockBox } from "../components/LockBox";
import { Output } from "../components/Output";
import { Question } from "../components/Question";
import { Releasing } from "../components/Release";
import { TaskSince } from "../components/SinceThen";
import { Loaded } from "../components/States";
import { TaskStatus } from "../components/Status";
import { TaskFacts } from "../components/TaskFacts";
import { TaskNotices } from "../components/TaskNotices";
import { type Deadline, Timeline } from "../components/Timeline";
import { Trail } from "../components/Trail";
import { type Task, get, post } from "../lib/api";
import { useLease } from "../lib/lease";
import { type Resource, useMoment, useResource } from "../lib/resource";
import { at, comparing, href } from "../lib/router";
import { shown } from "../lib/safe_text";
import { WORD, mayCancel, mayDispatch, stateOf } from "../lib/status";
import { isTaskId } from "../lib/query";
import { type TaskSeen, loadTask } from "../lib/task_page";
import type { PageProps } from "../pages";

/** Leases are not in the log. */
const LEASE_SECONDS = 5;
const OTHER_SECONDS = 60;
/** Between SIGTERM and SIGKILL (runner/config.py). */
const KILL_GRACE_SECONDS = 5;

export function TaskPage({ params }: PageProps) {
  const id = params["id"] ?? "";
  return isTaskId(id) ? <Whole id={id.toLowerCase()} /> : <NoSuchTask given={id} />;
}

function Whole({ id }: { id: string }) {
  const then = at.value;
  const leased = useSignal(false);
  const found: Resource<TaskSeen> = useMoment(id, (when, signal) => loadTask(id, when, signal), {
    news: (news) => news.tasks.has(id) || news.workspaces.has(found.data.value?.task.workspace ?? ""),
    seconds: leased.value ? LEASE_SECONDS : OTHER_SECONDS,
  });
  const status = found.data.value?.task.status;
  useLease(status === "queued" || status === "running");
  const holds = found.data.value?.holder != null;
  useEffect(() => {
    leased.value = holds;
  }, [holds]);
  const title = found.data.value?.task.title;
  useEffect(() => {
    if (title !== undefined) document.title = `${then === null ? "" : `as of ${then} · `}${shown(title)} · Towpath`;
  }, [title, then]);
  return (
    <article class="page task">
      {found.data.value === null && <h1 class="off-screen">Task {id}</h1>}
      <Loaded of={found}>{(data) => <Content seen={data} reload={found.reload} />}</Loaded>
      <Releasing after={found.reload} />
    </article>
  );
}

function Content({ seen, reload }: { seen: TaskSeen; reload: () => void }) {
  const { task, why, attempts } = seen;
  return (
    <>
      <header class="page-head">
        <p class="crumbs">
          <a href={href("/tasks")}>Tasks</a> / <span class="mono">{task.id}</span>
        </p>
        <div class="title-row">
          <h1 dir="auto" tabIndex={-1}>
            {shown(task.title)}
          </h1>
          <TaskStatus task={task} />
          {task.attempt > 0 && <span class="chip">attempt {task.attempt}</span>}
        </div>
        <Headline why={why} />
        <div class="actions">
          {mayDispatch(task) && <RunAgain task={task} after={reload} />}
          {mayCancel(task) && <CancelButton task={task} after={reload} reread={() => reread(task.id)} />}
        </div>
      </header>
      {comparing.value && <Since then={task} />}
      {task.question != null && <Question taskId={task.id} question={task.question} after={reload} />}
      {attempts.length > 0 && <Timeline task={task} attempts={attempts} deadlines={deadlines(seen)} />}
      <div class="columns">
        <div>
          <Output task={task} attempts={attempts} />
          <Trail task={task} />
          <TaskNotices id={task.id} />
        </div>
        <aside>
          <LockBox task={task} claim={seen} />
          <TaskFacts task={task} />
        </aside>
      </div>
    </>
  );
}

/** The task of the past beside the same task now. */
function Since({ then }: { then: Task }) {
  const load = (signal: AbortSignal) => get("/tasks/{task_id}", { path: { task_id: then.id }, signal });
  const found = useResource(`now ${then.id}`, load, (news) => news.tasks.has(then.id));
  return (
    <section class="card" aria-label="Compared with now">
      <Loaded of={found}>{(now) => <TaskSince then={then} now={now} />}</Loaded>
    </section>
  );
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
      reread={() => reread(task.id)}
      after={after}
    />
  );
}

/** What a task is now, for a person who does not know what became of a command. */
async function reread(id: string): Promise<string> {
  const task = await get("/tasks/{task_id}", { path: { task_id: id } });
  return `The task is now ${WORD[stateOf(task)]}, at attempt ${task.attempt}${task.cancel_requested ? ", and its cancel is recorded" : ""}.`;
}

/** Moments at which something happens by itself, if nothing else does before. */
function deadlines({ task, attempts, holder, waiter }: TaskSeen): Deadline[] {
  const found: Deadline[] = [];
  const add = (moment: string | null | undefined, word: string) => {
    if (moment != null) found.push({ at: Date.parse(moment), word });
  };
  if (task.status === "running" && task.started_at !== null && task.timeout_seconds !== null) {
    const word = task.timeout_pauses ? "timeout, pauses not counted" : "timeout";
    found.push({ at: Date.parse(task.started_at) + task.timeout_seconds * 1000, word });
  }
  const asked = attempts.at(-1)?.cancel_requested;
  if (task.status === "running" && asked != null) found.push({ at: Date.parse(asked.at) + KILL_GRACE_SECONDS * 1000, word: "SIGKILL after the cancel" });
  add(task.next_attempt_at, "next attempt");
  add(waiter?.gives_up_at, "gives up waiting");
  if (holder?.lease_until != null) found.push({ at: Date.parse(holder.lease_until), word: "lease ends", renewed: true });
  return found.toSorted((one, other) => one.at - other.at);
}
