import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { type Task, post } from "../lib/api";
import { at } from "../lib/router";
import { shown } from "../lib/safe_text";
import { Permitted, recorded } from "./Command";
import { Dialog } from "./Dialog";

/** Cancel a task, with a reason if there is one; only the attempt that was seen. */
export function CancelButton({ task, after }: { task: Task; after: () => void }) {
  const open = useSignal(false);
  if (at.value !== null) return null;
  return (
    <Permitted operation="POST /tasks/{task_id}/cancel">
      {(missing) => (
        <>
          <button
            type="button"
            class="button danger"
            disabled={missing !== undefined}
            aria-describedby={missing}
            onClick={() => {
              open.value = true;
            }}
          >
            Cancel…
          </button>
          {open.value && (
            <CancelDialog
              task={task}
              close={() => {
                open.value = false;
                after();
              }}
            />
          )}
        </>
      )}
    </Permitted>
  );
}

function CancelDialog({ task, close }: { task: Task; close: () => void }) {
  const reason = useSignal("");
  const busy = useSignal(false);
  const field = useId();
  const submit = async (event: Event) => {
    event.preventDefault();
    busy.value = true;
    const body = { attempt: task.attempt, reason: reason.value.trim() || null };
    await recorded(() => post("/tasks/{task_id}/cancel", { path: { task_id: task.id } }, body), "The cancel is recorded.");
    close();
  };
  return (
    <Dialog title="Cancel this task?" close={close}>
      <form onSubmit={(event) => void submit(event)}>
        <p dir="auto">{shown(task.title)}</p>
        <label for={field}>Reason, for the trail (may stay empty)</label>
        <input
          id={field}
          class="field"
          maxLength={500}
          autofocus
          value={reason}
          onInput={(event) => {
            reason.value = event.currentTarget.value;
          }}
        />
        <div class="dialog-end">
          <button type="button" class="button" onClick={close}>
            Keep it
          </button>
          <button type="submit" class="button danger" disabled={busy.value}>
            Cancel task
          </button>
        </div>
      </form>
    </Dialog>
  );
}
