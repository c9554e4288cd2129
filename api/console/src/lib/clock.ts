// The present, for everything that ticks: one timer, and none while the page is hidden.
import { computed, signal } from "@preact/signals";

/** By the clock of this machine. */
export const now = signal(Date.now());

/** By how much the API's clock is ahead, where that shows. */
export const ahead = signal(0);

/** By the clock of the API, which wrote every time that is shown: a clock here that is wrong makes no lease lapse. */
export const apiNow = computed(() => now.value + ahead.value);

/** Less than that may be the way of an answer, whose date has whole seconds. */
const LEAST_AHEAD_MS = 5000;

export function apiTime(): number {
  return Date.now() + ahead.peek();
}

/** `date` is the header of an answer that has just come. */
export function sawDate(date: string | null): void {
  const found = Date.parse(date ?? "") + 500 - Date.now();
  if (Math.abs(found - ahead.peek()) >= LEAST_AHEAD_MS) ahead.value = Math.abs(found) < LEAST_AHEAD_MS ? 0 : found;
}

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
