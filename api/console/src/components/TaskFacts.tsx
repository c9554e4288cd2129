import type { Task } from "../lib/api";
import { commandLine } from "../lib/format";
import { href, place } from "../lib/router";
import { shown } from "../lib/safe_text";
import { told } from "../lib/sentence";
import { Facts } from "./Facts";
import { Ago, Moment, Span } from "./Time";

export function TaskFacts({ task }: { task: Task }) {
  const labels = Object.entries(task.labels);
  const end = task.finished_at;
  return (
    <section class="card" aria-label="Facts">
      <Facts
        rows={[
          ["Command", <code class="wrap">{shown(commandLine(task.command))}</code>],
          ["Runner", task.runner_id && <span class="mono">{shown(task.runner_id)}{task.runner_state && task.runner_state !== "alive" && ` (${task.runner_state})`}</span>],
          ["Exit code", task.exit_code],
          ["Reason", task.reason && shown(task.reason)],
          ["Message", task.message && shown(told(task.message))],
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
    </section>
  );
}
