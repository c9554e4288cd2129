// Which moment is shown: live, or one of the past. The past is framed, named, and holds no command.
import { lastSeq } from "../lib/api";
import { count } from "../lib/format";
import { at, go, href, place } from "../lib/router";
import { Icon } from "./Icon";

/** `live · 45 311`, or `as of 1 200`. */
export function AsOfChip() {
  const then = at.value;
  const seq = lastSeq.value;
  if (then !== null) {
    return (
      <span class="chip past">
        <Icon name="clock" />
        <span>as of {spoken(then)}</span>
      </span>
    );
  }
  return (
    <span class="chip" title="the newest position of the log that this page has seen">
      <span class="lamp" aria-hidden="true" />
      <span>live{seq > 0 && <span class="mono"> · {count(seq)}</span>}</span>
    </span>
  );
}

export function PastBanner() {
  const then = at.value;
  if (then === null) return null;
  const back = () => go(href(place.value.path, { ...Object.fromEntries(place.value.query), at: null }));
  return (
    <div class="past-banner" role="status">
      <strong>As of {spoken(then)}</strong>
      <span>Nothing can be changed here.</span>
      <button type="button" class="button" onClick={back}>
        Return to live
      </button>
    </div>
  );
}

function spoken(then: string): string {
  return /^\d+$/.test(then) ? count(Number(then)) : then;
}
