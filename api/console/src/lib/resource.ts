// Loading for pages: the last answer stays while the next one is under way or fails. What the log tells of is loaded
// again when the feed has news of it, once a second at most; the rest by time.
import { batch, useSignal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Problem, Unreachable, answeredUpTo } from "./api";
import { lastAnswer, requests } from "./connection";
import { follow, link, reconnect } from "./feed/feed";
import type { News } from "./feed/news";
import { at } from "./router";
import { logins } from "./session";

const LEAST_SECONDS = 1;
/** Should news be lost on a way that nothing foresees, a page is this old at most. */
const SAFETY_SECONDS = 60;

export interface Resource<T> {
  data: Signal<T | null>;
  /** Why the last load failed; null if it did not. */
  error: Signal<Error | null>;
  /** Loading for longer than 200 ms with nothing to show: draw a skeleton. */
  slow: Signal<boolean>;
  /** Load now; ends a load that is under way. */
  reload: () => void;
}

/** Whether news are about what is shown. */
export type Concerns = (news: News) => boolean;

/** When to load again, while the page is visible: so many seconds after each answer (0: never), or after news and,
 * for what the log does not tell, also so many seconds after each answer. */
export type Again = number | Concerns | { news: Concerns; seconds: number };

/** Loads when `key` changes, after a login, on `reload`, and `again`. */
export function useResource<T>(key: string, load: (signal: AbortSignal) => Promise<T>, again: Again = 0): Resource<T> {
  const data = useSignal<T | null>(null);
  const error = useSignal<Error | null>(null);
  const slow = useSignal(false);
  const latest = useRef(load);
  latest.current = load;
  const { news: told = null, seconds } = parts(again);
  const concerns = useRef(told);
  concerns.current = told;
  const run = useRef<() => void>(() => {});
  const login = logins.value;
  const live = told !== null;

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
    const unfollow = live ? follow((news) => (news.all || concerns.current?.(news)) && loading.outdated(news)) : null;
    return () => {
      unfollow?.();
      loading.stop();
    };
  }, [key, login, seconds, live]);

  // another key is another thing: what was shown for the first may not stand for the second
  const before = useRef(key);
  if (before.current !== key) {
    before.current = key;
    data.value = null;
    error.value = null;
  }
  return { data, error, slow, reload: () => run.current() };
}

function parts(again: Again): { news?: Concerns; seconds: number } {
  if (typeof again === "number") return { seconds: again };
  return typeof again === "function" ? { news: again, seconds: SAFETY_SECONDS } : again;
}

/** As useResource, of the moment in the address: the present `again` and again, the past once. */
export function useMoment<T>(
  key: string,
  load: (then: string | null, signal: AbortSignal) => Promise<T>,
  again: Again,
): Resource<T> {
  const then = at.value;
  return useResource(`${key} ${then}`, (signal) => load(then, signal), then === null ? again : 0);
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
  private begun = 0;
  /** Up to which sequence the last answer shows the log, and news are known. */
  private shown = Number.POSITIVE_INFINITY;
  private wanted = 0;
  private readonly wake = () => {
    if (document.hidden || this.abort !== null) return;
    const old = this.seconds > 0 && Date.now() - this.begun >= this.seconds * 1000;
    if (old || this.failures > 0) this.start();
    else if (this.shown < this.wanted) this.soon();
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
    this.begun = Date.now();
    const slow = setTimeout(() => this.told.begun(), 200);
    this.load(abort.signal)
      .then(
        (found) => {
          if (!abort.signal.aborted) this.done(found, answeredUpTo(abort.signal));
        },
        (error: unknown) => {
          if (!abort.signal.aborted) this.failed(error instanceof Error ? error : new Error(String(error)));
        },
      )
      .finally(() => {
        clearTimeout(slow);
        if (this.abort !== abort) return;
        this.abort = null;
        if (this.shown < this.wanted) this.soon();
      });
  }

  stop(): void {
    document.removeEventListener("visibilitychange", this.wake);
    removeEventListener("online", this.wake);
    this.abort?.abort();
    clearTimeout(this.timer);
  }

  /** What is shown has changed; and the API answers, if it did not before. */
  outdated(news: News): void {
    if (news.reset) this.shown = -1;
    this.wanted = news.reset ? news.seq : Math.max(this.wanted, news.seq);
    if (this.failures > 0 || this.shown < this.wanted) this.soon();
  }

  private soon(): void {
    if (this.abort !== null || document.hidden) return; // looked at again afterwards
    this.later(Math.max(0, (this.begun + LEAST_SECONDS * 1000 - Date.now()) / 1000));
  }

  private done(found: T, shown: number): void {
    this.failures = 0;
    this.shown = shown;
    lastAnswer.value = Date.now();
    requests.value = { state: "connected" };
    if (link.peek().state === "away") reconnect();
    this.told.done(found);
    if (this.seconds > 0) this.later(this.seconds);
  }

  private failed(error: Error): void {
    this.told.failed(error);
    this.shown = Math.max(this.shown, this.wanted);
    const passes = error instanceof Unreachable || (error instanceof Problem && error.status === 503);
    if (!passes) {
      requests.value = { state: "connected" };
      if (this.seconds > 0 && !(error instanceof Problem && error.status === 401)) this.later(this.seconds * 4);
      return;
    }
    this.failures += 1;
    const asked = error instanceof Problem ? (error.retryAfterSeconds ?? 1) : 1;
    const wait = Math.min(30, Math.max(asked, 2 ** Math.min(this.failures - 1, 5)));
    requests.value = { state: "away", lastAt: lastAnswer.peek(), againAt: Date.now() + wait * 1000 };
    this.later(wait);
  }

  private later(seconds: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (!document.hidden) this.start();
    }, seconds * 1000);
  }
}
