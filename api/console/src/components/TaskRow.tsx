import type { Row } from "../lib/api";
import { shortId } from "../lib/format";
import { presentRows } from "../lib/present";
import { comparing } from "../lib/router";
import { shown } from "../lib/safe_text";
import { stateOf } from "../lib/status";
import { Link } from "./Link";
import { NowStatus } from "./SinceThen";
import { TaskStatus } from "./Status";
import { Ago, Span } from "./Time";

interface TaskRowProps {
  task: Row;
  /** Its place in the list, from 0. */
  index: number;
  picked: boolean;
  /** Null where nothing can be chosen. `range`: all from the one before. */
  pick: ((task: Row, index: number, range: boolean) => void) | null;
}

export function TaskRow({ task, index, picked, pick }: TaskRowProps) {
  const state = stateOf(task);
  const bad = state === "failed" || state === "submit-failed";
  return (
    <tr class={`row ${bad ? "bad-row" : ""} ${picked ? "picked" : ""}`} data-index={index} data-id={task.id} aria-rowindex={index + 2}>
      {pick !== null && (
        <td class="cell-pick">
          <label>
            <input
              type="checkbox"
              aria-label={`Select ${shown(task.title)}`}
              checked={picked}
              onClick={(event) => pick(task, index, event.shiftKey)}
            />
          </label>
        </td>
      )}
      <td class="cell-status">
        <TaskStatus task={task} />
      </td>
      <td class="cell-title">
        <Link to={`/tasks/${task.id}`} class="row-link">
          <bdi>{shown(task.title)}</bdi>
        </Link>
        {task.reason !== null && <span class="dim reason">{reason(task)}</span>}
        <span class="mono dim id">{shortId(task.id)}</span>
        {comparing.value && <NowStatus then={task} now={presentRows.value.get(task.id)} />}
      </td>
      <td class="cell-place mono">{task.workspace === null ? <span class="none">–</span> : <Place task={task} />}</td>
      <td class="right number cell-attempt" data-name="attempt">{task.attempt === 0 ? <span class="none">–</span> : `#${task.attempt}`}</td>
      <td class="mono cell-runner" data-name="on">{task.runner_id === null ? <span class="none">–</span> : <bdi>{shown(task.runner_id)}</bdi>}</td>
      <td class="right cell-waited" data-name="waited">
        <Span from={task.dispatched_at} to={task.started_at ?? task.finished_at} />
      </td>
      <td class="right cell-ran" data-name="ran">
        <Span from={task.started_at} to={task.finished_at} />
      </td>
      <td class="right cell-created">
        <Ago at={task.created_at} />
      </td>
    </tr>
  );
}

function Place({ task }: { task: Row }) {
  return (
    <bdi>
      {shown(task.workspace ?? "")}
      <span class="dim">:</span>
      {task.lock_paths.map(shown).join(" ") || "."}
    </bdi>
  );
}

function reason(task: Row): string {
  return task.reason === "exit" && task.exit_code !== null ? `exit ${task.exit_code}` : shown(task.reason ?? "");
}
