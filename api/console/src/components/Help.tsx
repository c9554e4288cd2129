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

function Shortcuts() {
  const close = () => {
    open.value = false;
  };
  return (
    <Dialog title="Keyboard shortcuts" close={close}>
      <dl class="keys">
        {shortcuts().map((one) => (
          <div key={one.keys}>
            <dt>
              {one.keys.split(" ").map((key) => (
                <kbd key={key}>{key.replace("ArrowLeft", "←").replace("ArrowRight", "→").replace("Shift+", "⇧ ")}</kbd>
              ))}
            </dt>
            <dd>{one.what}</dd>
          </div>
        ))}
      </dl>
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
