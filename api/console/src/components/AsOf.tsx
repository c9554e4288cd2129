// Which moment is shown: live, or one of the past. The chip opens the time machine.
import { lastSeq } from "../lib/api";
import { count } from "../lib/format";
import { machineOpen } from "../lib/moment";
import { at } from "../lib/router";
import { Icon } from "./Icon";

/** `live · 45 311`, or `as of 1 200`. */
export function AsOfChip() {
  const then = at.value;
  const seq = lastSeq.value;
  const toggle = () => {
    machineOpen.value = !machineOpen.value;
  };
  return (
    <button type="button" class={then === null ? "chip" : "chip past"} aria-expanded={machineOpen.value} title="time machine (t)" onClick={toggle}>
      {then === null ? <span class="lamp" aria-hidden="true" /> : <Icon name="clock" />}
      {then !== null && <span>as of {spoken(then)}</span>}
      {then === null && <span>live{seq > 0 && <span class="mono"> · {count(seq)}</span>}</span>}
    </button>
  );
}

function spoken(then: string): string {
  return /^\d+$/.test(then) ? count(Number(then)) : then;
}
