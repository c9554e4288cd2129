// Which moment is shown: live, or one of the past. The chip opens the time machine.
import { lastSeq } from "../lib/api";
import { connection } from "../lib/connection";
import { count } from "../lib/format";
import { machineOpen } from "../lib/moment";
import { at } from "../lib/router";
import { Icon } from "./Icon";

/** `live · 45 311`, `not live · 45 311` while the API is away, or `as of 1 200`. */
export function AsOfChip() {
  const then = at.value;
  const seq = lastSeq.value;
  const lost = connection.value.state === "away";
  const toggle = () => {
    machineOpen.value = !machineOpen.value;
  };
  return (
    <button type="button" class={then === null ? "chip" : "chip past"} aria-expanded={machineOpen.value} title="time machine (t)" onClick={toggle}>
      {then === null ? <span class={lost ? "lamp out" : "lamp"} aria-hidden="true" /> : <Icon name="clock" />}
      {then !== null && <span>as of {spoken(then)}</span>}
      {then === null && <span>{lost ? "not live" : "live"}{seq > 0 && <span class="mono"> · {count(seq)}</span>}</span>}
    </button>
  );
}

function spoken(then: string): string {
  return /^\d+$/.test(then) ? count(Number(then)) : then;
}
