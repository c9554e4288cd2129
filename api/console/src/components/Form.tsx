// A form in a dialog, with what all of them have: the fields, a way out, and one button that sends, once at a time.
import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren, InputHTMLAttributes } from "preact";
import { useId } from "preact/hooks";
import { Dialog } from "./Dialog";

interface FormDialogProps {
  title: string;
  close: () => void;
  /** Words of the button that closes without sending anything. */
  keep: string;
  /** Words of the button that sends. */
  send: string;
  kind?: "first" | "danger";
  class?: string;
  submit: () => Promise<void>;
  children: ComponentChildren;
}

export function FormDialog({ title, close, keep, send, kind = "danger", class: name, submit, children }: FormDialogProps) {
  const busy = useSignal(false);
  const sent = async (event: Event) => {
    event.preventDefault();
    busy.value = true;
    await submit();
    busy.value = false;
  };
  return (
    <Dialog title={title} close={close}>
      <form class={name} onSubmit={(event) => void sent(event)}>
        {children}
        <div class="dialog-end">
          <button type="button" class="button" onClick={close}>
            {keep}
          </button>
          <button type="submit" class={`button ${kind}`} disabled={busy.value}>
            {send}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface TextFieldProps extends Omit<InputHTMLAttributes<HTMLInputElement>, "value" | "id" | "label" | "type" | "role"> {
  type?: "password";
  label: ComponentChildren;
  value: Signal<string>;
}

export function TextField({ label, value, class: name = "", ...more }: TextFieldProps) {
  const id = useId();
  return (
    <>
      <label for={id}>{label}</label>
      <input
        {...more}
        id={id}
        class={`field ${name}`}
        value={value}
        onInput={(event) => {
          value.value = event.currentTarget.value;
        }}
      />
    </>
  );
}

/** Why a command is given; events keep it. */
export function ReasonField({ value }: { value: Signal<string> }) {
  return <TextField label="Reason, for the log" required maxLength={500} pattern=".*\S.*" value={value} />;
}
