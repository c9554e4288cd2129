// One load after the other, by time and by news: at most one a second, and the newest that is known wins.
import { Problem, Unreachable, answeredUpTo } from "./api";
import { lastAnswer, requests } from "./connection";
import { link, reconnect } from "./feed/feed";
import type { News } from "./feed/news";

const LEAST_SECONDS = 1;

interface Told<T> {
  begun: () => void;
  done: (found: T) => void;
  failed: (error: Error) => void;
}

/** One load after the other. After a failure that may pass it waits, longer each time, at most 30 s. */
export class Loading<T> {
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
        if (abort.signal.aborted) return; // another one has begun, or nobody looks any more
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
