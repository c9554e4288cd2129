// Freeing a lock by hand: the one command that may let two processes write at once, so it shows what is known of the
// runner and its process, and wants the token typed.
import { signal, useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import { type Schemas, get, post } from "../lib/api";
import { useTitleFocus } from "../lib/focus";
import { type Holder, processWords } from "../lib/locks";
import { say } from "../lib/messages";
import { useResource } from "../lib/resource";
import { at } from "../lib/router";
import { shown } from "../lib/safe_text";
import { Paths } from "./Paths";
import { PermittedButton, recorded } from "./Command";
import { Facts } from "./Facts";
import { FormDialog, ReasonField, TextField } from "./Form";
import { RunnerWord } from "./Runner";
import { Loaded } from "./States";
import { Ago, Moment } from "./Time";

interface Lock {
  holder: Holder;
  workspace: string;
  title: string;
}

const REFRESH_SECONDS = 3;
const MOST_PAGES = 4;

/** What is about to be freed; it stays while the page beneath is drawn anew. */
const chosen = signal<Lock | null>(null);

export function ReleaseButton({ holder, workspace, title }: Lock) {
  const choose = () => {
    chosen.value = { holder, workspace, title };
  };
  return (
    <PermittedButton
      operation="POST /tasks/{task_id}/locks/release"
      kind="small"
      label="Release…"
      name={`Release the lock of ${shown(title) || holder.task_id}`}
      press={choose}
    />
  );
}

/** The dialog, once for each page that has ReleaseButtons. `after`: when it has closed, whatever came of it. */
export function Releasing({ after }: { after: () => void }) {
  useEffect(() => () => {
    chosen.value = null;
  }, []);
  const lock = chosen.value;
  const toTitle = useTitleFocus(lock !== null);
  if (lock === null || at.value !== null) return null;
  const close = (freed: boolean) => {
    if (freed) toTitle();
    chosen.value = null;
    after();
  };
  return <ReleaseDialog lock={lock} close={close} />;
}

interface Known {
  task: Schemas["TaskRead"];
  /** Of the runner, which may have taken the task after the lock was read; null: none has. */
  runnerId: string | null;
  runner: Schemas["RunnerRead"] | null;
}

async function load({ holder }: Lock, signal: AbortSignal): Promise<Known> {
  const task = await get("/tasks/{task_id}", { path: { task_id: holder.task_id }, signal });
  const runnerId = holder.runner_id ?? (task.attempt === holder.attempt ? task.runner_id : null);
  return { task, runnerId, runner: runnerId === null ? null : await findRunner(runnerId, signal) };
}

async function findRunner(id: string, signal: AbortSignal): Promise<Known["runner"]> {
  let cursor: string | null | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const found = await get("/runners", { query: { limit: 500, cursor }, signal });
    const runner = found.items.find((one) => one.id === id);
    cursor = found.next_cursor;
    if (runner !== undefined || cursor == null) return runner ?? null;
  }
  return null;
}

function ReleaseDialog({ lock, close }: { lock: Lock; close: (freed: boolean) => void }) {
  const { holder } = lock;
  const known = useResource(`release ${holder.task_id}`, (signal) => load(lock, signal), REFRESH_SECONDS);
  const [token, reason, refused] = [useSignal(""), useSignal(""), useSignal<string | null>(null)];
  const wrong = refused.value !== null && refused.value === token.value;
  const wrongId = useId();
  const submit = async () => {
    if (token.value.trim() !== String(holder.token)) {
      refused.value = token.value;
      return;
    }
    close(await release(lock, Number(token.value), reason.value.trim()));
  };
  return (
    <FormDialog
      title="Release this lock by hand?"
      close={() => close(false)}
      keep="Keep the lock"
      send="Release lock"
      class="release"
      submit={submit}
    >
      <Facts
        rows={[
          ["Task", <bdi>{shown(lock.title) || holder.task_id}</bdi>],
          ["Holds", <><bdi class="mono">{shown(lock.workspace)}</bdi>: <Paths of={holder.paths} /></>],
          ["Token", <b class="mono">{holder.token}</b>],
          ["Since", <Moment at={holder.since} />],
        ]}
      />
      <Loaded of={known} rows={3}>{(data) => <Danger lock={lock} known={data} />}</Loaded>
      <TextField
        label={`Type the token ${holder.token}: the release counts only while this very lock is held`}
        class="mono"
        inputMode="numeric"
        autocomplete="off"
        required
        aria-invalid={wrong}
        aria-describedby={wrongId}
        value={token}
      />
      <p id={wrongId} class="wrong" role="alert">
        {wrong && `The token of this lock is ${holder.token}; what you typed is another one.`}
      </p>
      <ReasonField value={reason} />
    </FormDialog>
  );
}

/** What an operator has to know first: the runner, its last heartbeat, and the process. */
function Danger({ lock: { holder }, known: { task, runnerId, runner } }: { lock: Lock; known: Known }) {
  const { mayRun, words } = processWords(task, { ...holder, runner_id: runnerId });
  return (
    <div class={mayRun ? "danger-note" : "danger-note safe"}>
      <Facts
        rows={[
          ["Runner", runnerId === null ? "none has taken it" : <span class="mono">{shown(runnerId)}</span>],
          ["Its state", runner !== null && <RunnerWord state={runner.state} />],
          ["Heartbeat", runnerId === null ? null : runner === null ? "it sends none that the API knows" : <Ago at={runner.last_heartbeat} />],
          ["Process", <strong>{words}</strong>],
        ]}
      />
      {mayRun && runner?.state === "alive" && (
        <p>Its runner is alive: canceling the task ends the process first, and frees the lock after it.</p>
      )}
      {mayRun && runner?.state !== "alive" && <p>See on its host that nothing of it runs any more; then release.</p>}
    </div>
  );
}

async function release({ holder, title }: Lock, token: number, reason: string): Promise<boolean> {
  let mayRun = false;
  const path = { task_id: holder.task_id };
  const done = await recorded(async () => {
    mayRun = (await post("/tasks/{task_id}/locks/release", { path }, { token, reason })).process_may_run;
  }, "The release is recorded.");
  if (done && mayRun) say(`${title || holder.task_id}: its process may still write, until attempt ${holder.attempt} ends.`, "bad");
  return done;
}
