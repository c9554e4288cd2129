// A button for something that is recorded. What the role forbids is shown, disabled, with the role it needs; in the
// past there is none at all.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { capital } from "../lib/format";
import { say } from "../lib/messages";
import { isUnknown } from "../lib/outcome";
import { at } from "../lib/router";
import { type Operation, roleMissing } from "../lib/session";

interface CommandProps extends Omit<ButtonProps, "press" | "busy"> {
  run: () => Promise<unknown>;
  /** Said once it is recorded. */
  done: string;
  /** Reads what is there now, where no answer told whether it was recorded. */
  reread?: () => Promise<string>;
  /** Called afterwards, also when it failed: what was seen may be gone. */
  after: () => void;
}

export function Command({ run, done, reread, after, ...button }: CommandProps) {
  const busy = useSignal(false);
  const click = async () => {
    busy.value = true;
    await recorded(run, done, reread);
    busy.value = false;
    after();
  };
  return <PermittedButton {...button} busy={busy.value} press={() => void click()} />;
}

interface ButtonProps {
  operation: Operation;
  label: string;
  kind?: "plain" | "first" | "danger" | "small";
  /** For screen readers, where `label` alone does not tell what it is about. */
  name?: string;
  busy?: boolean;
  press: () => void;
}

export function PermittedButton({ operation, label, kind = "plain", name, busy = false, press }: ButtonProps) {
  if (at.value !== null) return null;
  return (
    <Permitted operation={operation}>
      {(missing) => (
        <button
          type="button"
          class={`button ${kind}`}
          disabled={missing !== undefined || busy}
          aria-describedby={missing}
          aria-label={name}
          aria-busy={busy}
          onClick={press}
        >
          {label}
        </button>
      )}
    </Permitted>
  );
}

interface DialogButtonProps extends Omit<ButtonProps, "press"> {
  /** Called when the dialog has closed, whatever came of it. */
  after: () => void;
  /** Draws the dialog. */
  children: (close: () => void) => ComponentChildren;
}

/** A button with the dialog that it opens. */
export function DialogButton({ after, children, ...button }: DialogButtonProps) {
  const open = useSignal(false);
  const close = () => {
    open.value = false;
    after();
  };
  const press = () => {
    open.value = true;
  };
  return (
    <>
      <PermittedButton {...button} press={press} />
      {open.value && at.value === null && children(close)}
    </>
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
export async function recorded(run: () => Promise<unknown>, done: string, reread?: () => Promise<string>): Promise<boolean> {
  try {
    await run();
    say(done);
    return true;
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    say(isUnknown(error) ? `Whether this was recorded is unknown (${words}). ${await known(reread)}` : capital(words), "bad");
    return false;
  }
}

async function known(reread?: () => Promise<string>): Promise<string> {
  try {
    return (await reread?.()) ?? "The page shows what is there now.";
  } catch {
    return "What is there now cannot be read yet: look again before you repeat it.";
  }
}
