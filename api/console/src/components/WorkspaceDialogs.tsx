// Adding a workspace, and removing one with a reason.
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { type Schemas, put, remove } from "../lib/api";
import { say } from "../lib/messages";
import { shown } from "../lib/safe_text";
import { Permitted, recorded } from "./Command";
import { Dialog } from "./Dialog";

const NAME = String.raw`[A-Za-z0-9_\-]{1,64}`;

type Workspace = Schemas["WorkspaceRead"];
type Policy = NonNullable<Schemas["WorkspaceBody"]["on_runner_lost"]>;

/** What `on_runner_lost` means. */
export const POLICIES: Readonly<Record<string, string>> = {
  fail: "end its attempts and free their locks",
  hold: "keep its locks until an operator releases them",
};

export function RemoveDialog({ workspace: { id, root }, close }: { workspace: Workspace; close: (done: boolean) => void }) {
  const reason = useSignal("");
  const busy = useSignal(false);
  const field = useId();
  const submit = async (event: Event) => {
    event.preventDefault();
    busy.value = true;
    const ask = { path: { workspace: id }, query: { reason: reason.value.trim() } };
    close(await recorded(() => remove("/workspaces/{workspace}", ask), `${id} is removed.`));
  };
  return (
    <Dialog title={`Remove ${shown(id)}?`} close={() => close(false)}>
      <form onSubmit={(event) => void submit(event)}>
        <p>
          Towpath forgets that <bdi class="mono">{shown(root)}</bdi> can be locked as {shown(id)}. No file is touched. It is refused while
          anything holds or waits there.
        </p>
        <label for={field}>Reason, for the log</label>
        <input
          id={field}
          class="field"
          required
          maxLength={500}
          pattern=".*\S.*"
          value={reason}
          onInput={(event) => {
            reason.value = event.currentTarget.value;
          }}
        />
        <div class="dialog-end">
          <button type="button" class="button" onClick={() => close(false)}>
            Keep it
          </button>
          <button type="submit" class="button danger" disabled={busy.value}>
            Remove workspace
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export function AddButton({ after }: { after: () => void }) {
  const open = useSignal(false);
  return (
    <Permitted operation="PUT /workspaces/{workspace}">
      {(missing) => (
        <>
          <button
            type="button"
            class="button first"
            disabled={missing !== undefined}
            aria-describedby={missing}
            onClick={() => {
              open.value = true;
            }}
          >
            Add…
          </button>
          {open.value && (
            <AddDialog
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

function AddDialog({ close }: { close: () => void }) {
  const [name, root, policy, busy] = [useSignal(""), useSignal(""), useSignal<Policy>("fail"), useSignal(false)];
  const wrong = useSignal<string | null>(null);
  const [nameField, rootField, policyField] = [useId(), useId(), useId()];
  const submit = async (event: Event) => {
    event.preventDefault();
    busy.value = true;
    const body = { root: root.value, on_runner_lost: policy.value };
    const add = () => put("/workspaces/{workspace}", { path: { workspace: name.value } }, body);
    wrong.value = null;
    try {
      await add();
      say(`${name.value} is registered.`);
      close();
    } catch (error) {
      // what was typed stays for another try
      wrong.value = error instanceof Error ? error.message : String(error);
    }
    busy.value = false;
  };
  return (
    <Dialog title="Add a workspace" close={close}>
      <form onSubmit={(event) => void submit(event)}>
        <label for={nameField}>Name</label>
        <input
          id={nameField}
          class="field"
          required
          pattern={NAME}
          title="letters, digits, - and _"
          autocomplete="off"
          spellcheck={false}
          value={name}
          onInput={(event) => {
            name.value = event.currentTarget.value;
          }}
        />
        <label for={rootField}>Root: the directory, as all its runners have it</label>
        <input
          id={rootField}
          class="field mono"
          required
          pattern="/.*"
          title="an absolute path"
          placeholder="/srv/shop"
          autocomplete="off"
          spellcheck={false}
          value={root}
          onInput={(event) => {
            root.value = event.currentTarget.value;
          }}
        />
        <label for={policyField}>When a runner that holds something there is lost</label>
        <select
          id={policyField}
          class="field"
          value={policy}
          onChange={(event) => {
            policy.value = event.currentTarget.value as Policy;
          }}
        >
          {Object.entries(POLICIES).map(([value, words]) => (
            <option key={value} value={value}>
              {value}: {words}
            </option>
          ))}
        </select>
        <p class="refused" role="alert">
          {wrong.value !== null && shown(wrong.value)}
        </p>
        <div class="dialog-end">
          <button type="button" class="button" onClick={close}>
            Do not add it
          </button>
          <button type="submit" class="button first" disabled={busy.value}>
            Add workspace
          </button>
        </div>
      </form>
    </Dialog>
  );
}
