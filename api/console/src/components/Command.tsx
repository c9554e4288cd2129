// A button for something that is recorded. What the role forbids is shown, disabled, with the role it needs; in the
// past there is none at all.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { Problem, Unreachable } from "../lib/api";
import { say } from "../lib/messages";
import { at } from "../lib/router";
import { type Operation, roleMissing } from "../lib/session";

interface CommandProps {
  operation: Operation;
  label: string;
  kind?: "plain" | "first" | "danger";
  run: () => Promise<unknown>;
  /** Said once it is recorded. */
  done: string;
  /** Called afterwards, also when it failed: what was seen may be gone. */
  after: () => void;
}

export function Command({ operation, label, kind = "plain", run, done, after }: CommandProps) {
  const busy = useSignal(false);
  if (at.value !== null) return null;
  const click = async () => {
    busy.value = true;
    await recorded(run, done);
    busy.value = false;
    after();
  };
  return (
    <Permitted operation={operation}>
      {(missing) => (
        <button
          type="button"
          class={`button ${kind}`}
          disabled={missing !== undefined || busy.value}
          aria-describedby={missing}
          aria-busy={busy.value}
          onClick={() => void click()}
        >
          {label}
        </button>
      )}
    </Permitted>
  );
}

interface PermittedProps {
  operation: Operation;
  /** Draws the control; `missing` is the id of the words that tell which role it needs. */
  children: (missing: string | undefined) => ComponentChildren;
}

export function Permitted({ operation, children }: PermittedProps) {
  const id = useId();
  const role = roleMissing(operation);
  if (role === null) return <>{children(undefined)}</>;
  return (
    <span class="forbidden">
      {children(id)}
      <small id={id}>needs {role}</small>
    </span>
  );
}

/** Whether a command was recorded; tells the person what became of it. Never sends anything twice. */
export async function recorded(run: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await run();
    say(done);
    return true;
  } catch (error) {
    const unknown = error instanceof Unreachable || (error instanceof Problem && error.status === 503);
    const words = error instanceof Error ? error.message : String(error);
    say(unknown ? `Whether this was recorded is unknown (${words}). The page shows what is there now.` : words, "bad");
    return false;
  }
}
