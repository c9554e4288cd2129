// The output of a task, attempt by attempt. Which one stands in the address; of the past, the log has an end only.
import { useSignal } from "@preact/signals";
import type { Task } from "../lib/api";
import { at, go, href, place } from "../lib/router";
import { ended, stateOf } from "../lib/status";
import type { Attempt } from "../lib/timeline";
import { OutputView, Tail } from "./OutputView";

interface OutputProps {
  task: Task;
  attempts: readonly Attempt[];
}

export function Output({ task, attempts }: OutputProps) {
  const wrap = useSignal(true);
  const asked = Number(place.value.query.get("attempt"));
  const attempt = asked >= 1 && asked <= task.attempt ? asked : task.attempt;
  return (
    <section class="card output" aria-labelledby="output-title">
      <div class="output-tools">
        <h2 id="output-title">Output</h2>
        {task.attempt > 1 && at.value === null && <Pick task={task} attempt={attempt} />}
        <label>
          <input
            type="checkbox"
            checked={wrap}
            onChange={(event) => {
              wrap.value = event.currentTarget.checked;
            }}
          />
          wrap lines
        </label>
      </div>
      <Body task={task} attempt={attempts.find((one) => one.attempt === attempt) ?? null} wrap={wrap.value} />
    </section>
  );
}

function Body({ task, attempt, wrap }: { task: Task; attempt: Attempt | null; wrap: boolean }) {
  if (at.value !== null) {
    const over = ended(stateOf(task)) || task.next_attempt_at != null;
    const none = over ? "The log has no output of this attempt." : "The attempt had not ended: the log has the end of its output from then on.";
    return task.output_tail === null ? <p class="dim">{none}</p> : <Tail text={task.output_tail} wrap={wrap} />;
  }
  if (attempt === null) return <p class="dim">It has not run yet.</p>;
  const over = attempt.ended != null;
  if (attempt.started == null) return <p class="dim">{over ? "This attempt never started, so it printed nothing." : `Attempt ${attempt.attempt} has not started yet.`}</p>;
  return <OutputView key={attempt.attempt} which={{ taskId: task.id, attempt: attempt.attempt }} over={over} wrap={wrap} />;
}

function Pick({ task, attempt }: { task: Task; attempt: number }) {
  const numbers = Array.from({ length: task.attempt }, (_, index) => task.attempt - index).slice(0, 200);
  const pick = (event: { currentTarget: HTMLSelectElement }) => {
    const chosen = event.currentTarget.value;
    go(href(place.value.path, { attempt: chosen === String(task.attempt) ? null : chosen }), { replace: true });
  };
  return (
    <label>
      of attempt{" "}
      <select class="field" value={attempt} onChange={pick}>
        {numbers.map((number) => (
          <option key={number} value={number}>
            {number === task.attempt ? `${number} (the last)` : number}
          </option>
        ))}
      </select>
    </label>
  );
}
