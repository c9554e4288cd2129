// The present, for everything that ticks: one timer, and none while the page is hidden.
import { signal } from "@preact/signals";

export const now = signal(Date.now());

/** Move `now` every second; returns what ends that. */
export function tick(): () => void {
  let timer: ReturnType<typeof setInterval> | undefined;
  const run = () => {
    clearInterval(timer);
    timer = undefined;
    if (document.hidden) return;
    now.value = Date.now();
    timer = setInterval(() => {
      now.value = Date.now();
    }, 1000);
  };
  run();
  document.addEventListener("visibilitychange", run);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", run);
  };
}
