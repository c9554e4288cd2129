import { useEffect, useRef } from "preact/hooks";
import type { Row } from "../lib/api";
import { shortId } from "../lib/format";
import { shortcut } from "../lib/keys";
import { presentRows } from "../lib/present";
import { comparing } from "../lib/router";
import { shown } from "../lib/safe_text";
import { stateOf } from "../lib/status";
import { Link } from "./Link";
import { Columns } from "./Page";
import { NowStatus } from "./SinceThen";
import { TaskStatus } from "./Status";
import { Ago, Span } from "./Time";

/** Tasks as rows; cards below 720 px. `j` and `k` go through them. */
export function TaskTable({ tasks }: { tasks: readonly Row[] }) {
  const body = useRef<HTMLTableSectionElement>(null);
  useEffect(() => {
    const step = (by: number) => {
      const links = [...(body.current?.querySelectorAll<HTMLAnchorElement>("a.row-link") ?? [])];
      const here = links.findIndex((link) => link === document.activeElement);
      links[Math.max(0, Math.min(links.length - 1, here < 0 ? 0 : here + by))]?.focus();
    };
    const ends = [
      shortcut({ keys: "j", what: "next row", run: () => step(1) }),
      shortcut({ keys: "k", what: "previous row", run: () => step(-1) }),
    ];
    return () => ends.forEach((end) => end());
  }, []);
  return (
    <table class="table task-table">
      <Columns
        names={["Status", "Task", "Workspace", "Attempt", "Runner", "Waited", "Ran", "Created"]}
        right={["Attempt", "Waited", "Ran", "Created"]}
      />
      <tbody ref={body}>
        {tasks.map((task) => (
          <TaskRow key={task.id} task={task} />
        ))}
      </tbody>
    </table>
  );
}

function TaskRow({ task }: { task: Row }) {
  const state = stateOf(task);
  return (
    <tr class={state === "failed" || state === "submit-failed" ? "row bad-row" : "row"}>
      <td class="cell-status">
        <TaskStatus task={task} />
      </td>
      <td class="cell-title">
        <Link to={`/tasks/${task.id}`} class="row-link">
          <bdi>{shown(task.title)}</bdi>
        </Link>
        <span class="mono dim id">{shortId(task.id)}</span>
        {task.reason !== null && <span class="dim reason">{reason(task)}</span>}
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
