// Moments and durations that tick by themselves: only their own text is drawn again.
import { apiNow } from "../lib/clock";
import { ago, clockTime, dayTime, duration } from "../lib/format";
import { at as shownAt } from "../lib/router";

/** How long ago something was, the exact time on hover; in the past the time itself. */
export function Ago({ at }: { at: string }) {
  if (shownAt.value !== null) return <Moment at={at} />;
  const moment = new Date(at);
  return (
    <time dateTime={at} title={`${dayTime(moment)} UTC`}>
      {ago(apiNow.value - moment.getTime())}
    </time>
  );
}

/** A moment of the clock, in UTC. */
export function Moment({ at }: { at: string }) {
  const moment = new Date(at);
  return (
    <time dateTime={at} title={at}>
      {clockTime(moment, new Date(apiNow.value))}
    </time>
  );
}

/** From one moment to another, or to now: then it ticks and says so with an arrow. In the past, only since when. */
export function Span({ from, to }: { from: string | null; to: string | null }) {
  if (from === null) return <span class="none">–</span>;
  const began = new Date(from).getTime();
  if (to !== null) return <span class="number">{duration(new Date(to).getTime() - began)}</span>;
  if (shownAt.value !== null) {
    return (
      <span class="dim">
        since <Moment at={from} />
      </span>
    );
  }
  return (
    <span class="number ticking" title="and counting">
      {duration(apiNow.value - began)}
    </span>
  );
}
