import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { travel } from "../lib/moment";
import { at } from "../lib/router";

/** Events a step, and milliseconds between steps: pages load at most twice a second. */
const PACES = { 1: [1, 1000], 10: [5, 500] } as const;
type Pace = keyof typeof PACES;

/** Goes on by itself, one or ten events a second, to the end of the log. */
export function Play({ seq, last }: { seq: number; last: number }) {
  const pace = useSignal<Pace | null>(null);
  const here = useRef({ seq, last });
  here.current = { seq, last };
  useEffect(() => {
    if (pace.value === null) return;
    const [by, every] = PACES[pace.value];
    const timer = setInterval(() => {
      const { seq: from, last: end } = here.current;
      if (at.value === null || from >= end) pace.value = null;
      else if (!document.hidden) travel(Math.min(end, from + by));
    }, every);
    return () => clearInterval(timer);
  }, [pace.value]);
  return (
    <div class="machine-play" role="group" aria-label="Play">
      {([1, 10] as const).map((one) => (
        <button
          key={one}
          type="button"
          class="button small"
          aria-pressed={pace.value === one}
          aria-label={one === 1 ? "Play one event a second" : "Play ten events a second"}
          disabled={at.value === null}
          onClick={() => {
            pace.value = pace.value === one ? null : one;
          }}
        >
          {pace.value === one ? "‖" : "▶"} ×{one}
        </button>
      ))}
    </div>
  );
}
