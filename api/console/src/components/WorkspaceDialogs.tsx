// Adding a workspace, and removing one with a reason.
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { type Schemas, put, remove } from "../lib/api";
import { say } from "../lib/messages";
import { shown } from "../lib/safe_text";
import { DialogButton, recorded } from "./Command";
import { FormDialog, ReasonField, TextField } from "./Form";

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
  const submit = async () => {
    const ask = { path: { workspace: id }, query: { reason: reason.value.trim() } };
    close(await recorded(() => remove("/workspaces/{workspace}", ask), `${id} is removed.`));
  };
  const keep = () => close(false);
  return (
    <FormDialog title={`Remove ${shown(id)}?`} close={keep} keep="Keep it" send="Remove workspace" submit={submit}>
      <p>
        Towpath forgets that <bdi class="mono">{shown(root)}</bdi> can be locked as {shown(id)}. No file is touched. It is refused while
        anything holds or waits there.
      </p>
      <ReasonField value={reason} />
    </FormDialog>
  );
}

export function AddButton({ after }: { after: () => void }) {
  return (
    <DialogButton operation="PUT /workspaces/{workspace}" kind="first" label="Add…" after={after}>
      {(close) => <AddDialog close={close} />}
    </DialogButton>
  );
}

function AddDialog({ close }: { close: () => void }) {
  const [name, root, policy] = [useSignal(""), useSignal(""), useSignal<Policy>("fail")];
  const wrong = useSignal<string | null>(null);
  const policyField = useId();
  const submit = async () => {
    wrong.value = null;
    try {
      const body = { root: root.value, on_runner_lost: policy.value };
      await put("/workspaces/{workspace}", { path: { workspace: name.value } }, body);
      say(`${name.value} is registered.`);
      close();
    } catch (error) {
      // what was typed stays for another try
      wrong.value = error instanceof Error ? error.message : String(error);
    }
  };
  const plain = { required: true, autocomplete: "off", spellcheck: false } as const;
  return (
    <FormDialog title="Add a workspace" close={close} keep="Do not add it" send="Add workspace" kind="first" submit={submit}>
      <TextField {...plain} label="Name" pattern={NAME} title="letters, digits, - and _" value={name} />
      <TextField
        {...plain}
        label="Root: the directory, as all its runners have it"
        class="mono"
        pattern="/.*"
        title="an absolute path"
        placeholder="/srv/shop"
        value={root}
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
    </FormDialog>
  );
}
