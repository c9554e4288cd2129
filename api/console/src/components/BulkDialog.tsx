// One command for many tasks: what it is about, the number typed, its progress, and what became of each task.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { type Action, BulkRun, MOST_TARGETS, type Result, type Target, samples, tally } from "../lib/bulk";
import { WIRE, frozen, read } from "../lib/bulk_api";
import { copy } from "../lib/clipboard";
import { count, plural, shortId } from "../lib/format";
import { say } from "../lib/messages";
import { shown } from "../lib/safe_text";
import { WORD } from "../lib/status";
import { BulkResults } from "./BulkResults";
import { Dialog } from "./Dialog";
import { TextField } from "./Form";
import { TaskLink } from "./Link";

interface BulkDialogProps {
  action: Action;
  /** Null: all that `query` finds. */
  targets: Target[] | null;
  query: () => Record<string, string | readonly string[]>;
  /** `done`: something was sent. */
  close: (done: boolean) => void;
}

const SAMPLES = 5;
export const TITLES: Record<Action, string> = { cancel: "Cancel tasks", dispatch: "Run tasks again" };

export function BulkDialog({ action, targets, query, close }: BulkDialogProps) {
  const known = useSignal<Target[] | null>(targets);
  const run = useSignal<BulkRun | null>(null);
  const sent = useSignal(false);
  const begin = (reason: string | null) => {
    sent.value = true;
    run.value = new BulkRun(action, known.value ?? [], reason, WIRE);
    void run.value.run();
  };
  const again = async (ids: readonly string[]) => {
    try {
      known.value = await read(ids);
      run.value = null;
    } catch (error) {
      say(`They could not be read again: ${(error as Error).message}`, "bad");
    }
  };
  useEffect(() => () => run.value?.stop(), []);
  const leave = () => {
    run.value?.stop();
    close(sent.value);
  };
  return (
    <Dialog title={TITLES[action]} close={leave}>
      <div class="bulk">
        {known.value === null ? (
          <Freezing query={query} known={known} close={leave} />
        ) : run.value === null ? (
          <Confirm action={action} targets={known.value} begin={begin} close={leave} />
        ) : (
          <Progress run={run.value} again={(ids) => void again(ids)} close={leave} />
        )}
      </div>
    </Dialog>
  );
}

/** Collects what the search finds now; what comes later does not count. */
function Freezing({ query, known, close }: { query: BulkDialogProps["query"]; known: Signal<Target[] | null>; close: () => void }) {
  const found = useSignal(0);
  const trouble = useSignal<string | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    const told = (number: number) => {
      found.value = number;
    };
    frozen(query(), told, abort.signal).then(
      ({ targets, more }) => {
        if (more) trouble.value = `The search finds more than ${count(MOST_TARGETS)} tasks: narrow it down, or go in steps.`;
        else known.value = targets;
      },
      (error: unknown) => {
        if (!abort.signal.aborted) trouble.value = (error as Error).message;
      },
    );
    return () => abort.abort();
  }, []);
  return (
    <>
      <p role={trouble.value === null ? "status" : "alert"}>{trouble.value ?? `Collecting what the search finds: ${count(found.value)} so far`}</p>
      <div class="dialog-end">
        <button type="button" class="button" onClick={close}>
          Close
        </button>
      </div>
    </>
  );
}

interface ConfirmProps {
  action: Action;
  targets: readonly Target[];
  begin: (reason: string | null) => void;
  close: () => void;
}

function Confirm({ action, targets, begin, close }: ConfirmProps) {
  const [typed, reason, wrong] = [useSignal(""), useSignal(""), useSignal(false)];
  const send = (event: Event) => {
    event.preventDefault();
    wrong.value = typed.value.replaceAll(/\D/g, "") !== String(targets.length);
    if (!wrong.value) begin(action === "cancel" ? reason.value.trim() || null : null);
  };
  return (
    <form onSubmit={send}>
      <p>
        <b>{plural(targets.length, "task")}</b>, as {targets.length === 1 ? "it is" : "they are"} now: {tally(targets, (one) => WORD[one.status]).map(([word, number]) => `${count(number)} ${word}`).join(" · ")}.
        {" "}What comes or changes from now on is left alone.
      </p>
      <ul class="samples" aria-label="Some of them">
        {samples(targets, SAMPLES).map((one) => (
          <li key={one.id}>
            <TaskLink id={one.id} title={one.title} /> <span class="dim mono">{shortId(one.id)}</span> <span class="dim">{WORD[one.status]}</span>
          </li>
        ))}
        {targets.length > SAMPLES && <li class="dim">and {count(targets.length - SAMPLES)} more</li>}
      </ul>
      {action === "cancel" && <TextField label="Reason, for the trails (may stay empty)" maxLength={500} autofocus value={reason} />}
      <TextField
        label={`Type the number of tasks, ${targets.length}`}
        inputMode="numeric"
        autocomplete="off"
        required
        autofocus={action !== "cancel"}
        aria-invalid={wrong.value}
        value={typed}
      />
      <p class="wrong" role="alert">
        {wrong.value && `It is ${targets.length}.`}
      </p>
      <p class="dim">This page sends them, a hundred at a time: closing the tab stops it.</p>
      <div class="dialog-end">
        <button type="button" class="button" onClick={close}>
          Leave them
        </button>
        <button type="submit" class={action === "cancel" ? "button danger" : "button first"} disabled={targets.length === 0}>
          {TITLES[action]}
        </button>
      </div>
    </form>
  );
}

interface ProgressProps {
  run: BulkRun;
  again: (ids: readonly string[]) => void;
  close: () => void;
}

function Progress({ run, again, close }: ProgressProps) {
  const results = run.results.value;
  const phase = run.phase.value;
  const busy = phase === "running" || phase === "stopping";
  useEffect(() => (busy ? holdTab() : undefined), [busy]);
  const refused = useMemo(() => [...results].filter(([, one]) => one.outcome === "refused").map(([id]) => id), [results]);
  return (
    <>
      <progress max={run.targets.length} value={results.size} aria-label="sent" />
      <p role="status">
        {count(results.size)} of {count(run.targets.length)}
        {tally(results.values(), (one) => one.outcome).map(([word, number]) => ` · ${count(number)} ${word}`)}
        {phase === "stopping" && " · stopping after this request"}
        {phase === "stopped" && " · stopped"}
        {phase === "done" && " · done"}
      </p>
      {busy && <p class="dim">Closing this tab stops it; what is recorded stays.</p>}
      {run.trouble.value !== null && (
        <p class="wrong" role="alert">
          {run.trouble.value}
        </p>
      )}
      <BulkResults targets={run.targets} results={results} />
      <div class="dialog-end">
        {busy && (
          <button type="button" class="button" disabled={phase === "stopping"} onClick={() => run.stop()}>
            Stop
          </button>
        )}
        {phase === "stopped" && (
          <button type="button" class="button" onClick={() => void run.run()}>
            Send the other {count(run.rest.length)}
          </button>
        )}
        {!busy && refused.length > 0 && (
          <button type="button" class="button" onClick={() => again(refused)}>
            Retry refused ({count(refused.length)})…
          </button>
        )}
        {!busy && results.size > 0 && (
          <button type="button" class="button" onClick={() => void copyAll(run.targets, results)}>
            Copy results
          </button>
        )}
        {!busy && (
          <button type="button" class="button first" onClick={close}>
            Close
          </button>
        )}
      </div>
    </>
  );
}

/** Lets the browser ask before the tab is closed. */
function holdTab(): () => void {
  const ask = (event: BeforeUnloadEvent) => event.preventDefault();
  addEventListener("beforeunload", ask);
  return () => removeEventListener("beforeunload", ask);
}

async function copyAll(targets: readonly Target[], results: ReadonlyMap<string, Result>): Promise<void> {
  const lines = targets.map((one) => [one.id, one.attempt, results.get(one.id)?.outcome ?? "not sent", results.get(one.id)?.detail ?? "", shown(one.title)].join("\t"));
  const done = await copy(lines.join("\n"));
  say(done ? "Copied." : "The browser did not let it be copied.", done ? "good" : "bad");
}
