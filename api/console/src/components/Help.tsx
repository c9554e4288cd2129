import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { keysOn, shortcut, shortcuts, switchKeys } from "../lib/keys";
import { Dialog } from "./Dialog";

const open = signal(false);

/** The button that shows the keyboard shortcuts; `?` does the same. */
export function Help() {
  const show = () => {
    open.value = true;
  };
  useEffect(() => shortcut({ keys: "?", what: "show the shortcuts", run: show }), []);
  return (
    <>
      <button type="button" class="bare help" aria-label="keyboard shortcuts" title="keyboard shortcuts" onClick={show}>
        ?
      </button>
      {open.value && <Shortcuts />}
    </>
  );
}

/** Listed also while it is closed: its own keys work only while it is open. */
const MACHINE = [
  { keys: "← →", what: "one event back or on" },
  { keys: "⇧← ⇧→", what: "the event before or next of what is shown" },
  { keys: "PgDn PgUp", what: "a tenth of the axis back or on, on its slider" },
  { keys: "Home End", what: "the first or last event, on its slider" },
  { keys: "Esc", what: "return to live; then close it" },
];

function Keys({ of }: { of: readonly { keys: string; what: string }[] }) {
  return (
    <dl class="keys">
      {of.map((one) => (
        <div key={one.keys}>
          <dt>
            {one.keys.split(" ").map((key) => (
              <kbd key={key}>{key}</kbd>
            ))}
          </dt>
          <dd>{one.what}</dd>
        </div>
      ))}
    </dl>
  );
}

function Shortcuts() {
  const close = () => {
    open.value = false;
  };
  return (
    <Dialog title="Keyboard shortcuts" close={close}>
      <Keys of={shortcuts().filter(({ keys }) => !keys.includes("Arrow"))} />
      <h3>In the time machine</h3>
      <Keys of={MACHINE} />
      <label class="check">
        <input type="checkbox" checked={keysOn.value} onChange={(event) => switchKeys(event.currentTarget.checked)} />
        Shortcuts of single keys are on
      </label>
      <div class="dialog-end">
        <button type="button" class="button" onClick={close}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
