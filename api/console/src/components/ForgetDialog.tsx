// Taking a lost runner off the list, after a question.
import { remove } from "../lib/api";
import type { Runner } from "../lib/runners";
import { shown } from "../lib/safe_text";
import { recorded } from "./Command";
import { FormDialog } from "./Form";
import { Ago } from "./Time";

export function ForgetDialog({ runner: { id, last_heartbeat }, close }: { runner: Runner; close: (done: boolean) => void }) {
  const submit = async () => {
    const run = () => remove("/runners/{runner_id}", { path: { runner_id: id } });
    close(await recorded(run, `${id} is forgotten. If it comes back, it is shown again.`));
  };
  return (
    <FormDialog title={`Forget ${shown(id)}?`} close={() => close(false)} keep="Keep it" send="Forget runner" submit={submit}>
      <p>
        Its last heartbeat was <Ago at={last_heartbeat} />. A forgotten runner is no longer shown or counted. Nothing on its host is
        stopped; if it comes back, it is shown again.
      </p>
    </FormDialog>
  );
}
