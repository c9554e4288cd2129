import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { apiTime } from "../lib/clock";
import { count } from "../lib/format";
import { travel } from "../lib/moment";
import { parseWhen } from "../lib/when";

/** A field for a sequence, a time, or `10m ago`. */
export function GoTo({ last }: { last: number }) {
  const text = useSignal("");
  const wrong = useSignal("");
  const id = useId();
  const submit = (event: Event) => {
    event.preventDefault();
    const when = parseWhen(text.value, new Date(apiTime()));
    wrong.value = "";
    if (when === null) wrong.value = "Write a sequence, a time such as 12:00:03, or 10m ago.";
    else if (when.kind === "now") travel(null);
    else if (when.kind === "seq" && when.seq > last) wrong.value = `The log ends at ${count(last)}.`;
    else if (when.kind === "time" && when.at.getTime() > apiTime()) wrong.value = "That time has not come yet.";
    else travel(when.kind === "seq" ? when.seq : when.at.toISOString(), { jump: true });
    if (wrong.value === "") text.value = "";
  };
  return (
    <form class="goto" onSubmit={submit}>
      <input
        class="field"
        aria-label="Go to a sequence or time (UTC)"
        aria-invalid={wrong.value !== ""}
        aria-describedby={id}
        placeholder="1200, 12:00:03 or 10m ago"
        spellcheck={false}
        autocomplete="off"
        value={text}
        onInput={(event) => {
          text.value = event.currentTarget.value;
        }}
      />
      <button type="submit" class="button">
        Go
      </button>
      <span id={id} class="wrong" role="alert">
        {wrong}
      </span>
    </form>
  );
}
