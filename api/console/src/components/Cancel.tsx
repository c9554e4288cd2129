import { useSignal } from "@preact/signals";
import { type Task, post } from "../lib/api";
import { shown } from "../lib/safe_text";
import { DialogButton, recorded } from "./Command";
import { FormDialog, TextField } from "./Form";

/** Cancel a task, with a reason if there is one; only the attempt that was seen. */
export function CancelButton({ task, after, reread }: { task: Task; after: () => void; reread: () => Promise<string> }) {
  return (
    <DialogButton operation="POST /tasks/{task_id}/cancel" kind="danger" label="Cancel…" after={after}>
      {(close) => <CancelDialog task={task} close={close} reread={reread} />}
    </DialogButton>
  );
}

function CancelDialog({ task, close, reread }: { task: Task; close: () => void; reread: () => Promise<string> }) {
  const reason = useSignal("");
  const submit = async () => {
    const body = { attempt: task.attempt, reason: reason.value.trim() || null };
    await recorded(() => post("/tasks/{task_id}/cancel", { path: { task_id: task.id } }, body), "The cancel is recorded.", reread);
    close();
  };
  return (
    <FormDialog title="Cancel this task?" close={close} keep="Keep it" send="Cancel task" submit={submit}>
      <p dir="auto">{shown(task.title)}</p>
      <TextField label="Reason, for the trail (may stay empty)" maxLength={500} autofocus value={reason} />
    </FormDialog>
  );
}
