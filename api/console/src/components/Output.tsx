import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { copy } from "../lib/clipboard";
import { say } from "../lib/messages";
import { terminal } from "../lib/safe_text";
import { Icon } from "./Icon";

interface OutputProps {
  text: string;
  title: string;
  note: string;
}

/** Output of a task, in its colours; what could deceive the eye is shown as what it is. */
export function Output({ text, title, note }: OutputProps) {
  const wrap = useSignal(true);
  const pieces = useMemo(() => terminal(text), [text]);
  const copied = async () => {
    const done = await copy(text);
    say(done ? "Copied." : "The browser did not let it be copied.", done ? "good" : "bad");
  };
  return (
    <div class="output">
      <div class="output-tools">
        <h2>
          {title} <small class="dim">{note}</small>
        </h2>
        <label>
          <input
            type="checkbox"
            checked={wrap}
            onChange={(event) => {
              wrap.value = event.currentTarget.checked;
            }}
          />
          wrap lines
        </label>
        <button type="button" class="bare" onClick={() => void copied()}>
          <Icon name="copy" /> copy
        </button>
      </div>
      <pre class={wrap.value ? "wrap" : ""} tabIndex={0} aria-label={title} dir="ltr">
        {pieces.map((piece, index) =>
          piece.style === "" ? (
            piece.text
          ) : (
            <span key={index} class={piece.style}>
              {piece.text}
            </span>
          ),
        )}
      </pre>
    </div>
  );
}
