import { ADD_WORKSPACE, FIRST_TASK, HOLD_PATH } from "../lib/hints";
import { at } from "../lib/router";
import { Empty } from "./States";

/** In the place of a list of tasks that is empty. */
export function NoTasks({ filtered }: { filtered: boolean }) {
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
      <pre>{FIRST_TASK}</pre>
      <p>Or let it hold a lock on a directory:</p>
      <pre>{`${ADD_WORKSPACE}\n${HOLD_PATH}`}</pre>
    </Empty>
  );
}
