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
      <pre>{"towpath run -- sh -c 'echo hello from $(hostname)'"}</pre>
      <p>Or let it hold a lock on a directory:</p>
      <pre>{'towpath workspaces add shop "$PWD/shop"\ntowpath run --workspace shop --path src -- make'}</pre>
    </Empty>
  );
}
