// Loading for pages: the last answer stays while the next one is under way or fails, and says how old it is.
import { batch, signal, useSignal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Problem, Unreachable } from "./api";
import { at } from "./router";
import { logins } from "./session";

export type Connection =
  | { state: "connecting" }
  | { state: "connected" }
  | { state: "away"; lastAt: number | null; againAt: number };

/** Whether the last request of any page was answered. */
export const connection = signal<Connection>({ state: "connecting" });
let lastAnswer: number | null = null;

export interface Resource<T> {
  data: Signal<T | null>;
  /** Why the last load failed; null if it did not. */
  error: Signal<Error | null>;
  /** Loading for longer than 200 ms with nothing to show: draw a skeleton. */
  slow: Signal<boolean>;
  /** Load now; ends a load that is under way. */
  reload: () => void;
}

export interface Every {
  /** Load again so long after each answer, while the page is visible; 0: only once. */
  seconds?: number;
}

/** Loads when `key` changes, after a login, on `reload`, and every so many seconds. */
export function useResource<T>(key: string, load: (signal: AbortSignal) => Promise<T>, every: Every = {}): Resource<T> {
  const data = useSignal<T | null>(null);
  const error = useSignal<Error | null>(null);
  const slow = useSignal(false);
  const latest = useRef(load);
  latest.current = load;
  const run = useRef<() => void>(() => {});
  const login = logins.value;
  const seconds = every.seconds ?? 0;

  useEffect(() => {
    const loading = new Loading(
      async (signal) => latest.current(signal),
      {
        begun: () => {
          slow.value = data.value === null;
        },
        done: (found) =>
          batch(() => {
            data.value = found;
            error.value = null;
            slow.value = false;
          }),
        failed: (problem) =>
          batch(() => {
            error.value = problem;
            slow.value = false;
          }),
      },
      seconds,
    );
    run.current = () => loading.start();
    loading.start();
    return () => loading.stop();
  }, [key, login, seconds]);

  // another key is another thing: what was shown for the first may not stand for the second
  const before = useRef(key);
  if (before.current !== key) {
    before.current = key;
    data.value = null;
    error.value = null;
  }
  return { data, error, slow, reload: () => run.current() };
}

/** As useResource, of the moment in the address: the present again every so many `seconds`, the past once. */
export function useMoment<T>(
  key: string,
  load: (then: string | null, signal: AbortSignal) => Promise<T>,
  seconds: number,
): Resource<T> {
  const then = at.value;
  return useResource(`${key} ${then}`, (signal) => load(then, signal), { seconds: then === null ? seconds : 0 });
}

interface Told<T> {
  begun: () => void;
  done: (found: T) => void;
  failed: (error: Error) => void;
}

/** One load after the other. After a failure that may pass it waits, longer each time, at most 30 s. */
class Loading<T> {
  private abort: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private readonly wake = () => {
    if (!document.hidden && this.abort === null && (this.seconds > 0 || this.failures > 0)) this.start();
  };

  constructor(
    private readonly load: (signal: AbortSignal) => Promise<T>,
    private readonly told: Told<T>,
    private readonly seconds: number,
  ) {
    document.addEventListener("visibilitychange", this.wake);
    addEventListener("online", this.wake);
  }

  start(): void {
    this.abort?.abort();
    clearTimeout(this.timer);
    const abort = new AbortController();
    this.abort = abort;
    const slow = setTimeout(() => this.told.begun(), 200);
    this.load(abort.signal)
      .then(
        (found) => {
          if (abort.signal.aborted) return;
          this.failures = 0;
          lastAnswer = Date.now();
          connection.value = { state: "connected" };
          this.told.done(found);
          if (this.seconds > 0) this.later(this.seconds);
        },
        (error: unknown) => {
          if (!abort.signal.aborted) this.failed(error instanceof Error ? error : new Error(String(error)));
        },
      )
      .finally(() => {
        clearTimeout(slow);
        if (this.abort === abort) this.abort = null;
      });
  }

  stop(): void {
    document.removeEventListener("visibilitychange", this.wake);
    removeEventListener("online", this.wake);
    this.abort?.abort();
    clearTimeout(this.timer);
  }

  private failed(error: Error): void {
    this.told.failed(error);
    const passes = error instanceof Unreachable || (error instanceof Problem && error.status === 503);
    if (!passes) {
      connection.value = { state: "connected" };
      if (this.seconds > 0 && !(error instanceof Problem && error.status === 401)) this.later(this.seconds * 4);
      return;
    }
    this.failures += 1;
    const asked = error instanceof Problem ? (error.retryAfterSeconds ?? 1) : 1;
    const wait = Math.min(30, Math.max(asked, 2 ** Math.min(this.failures - 1, 5)));
    connection.value = { state: "away", lastAt: lastAnswer, againAt: Date.now() + wait * 1000 };
    this.later(wait);
  }

  private later(seconds: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (!document.hidden) this.start();
    }, seconds * 1000);
  }
}
