// Loading for pages: the last answer stays while the next one is under way or fails. What the log tells of is loaded
// again when the feed has news of it; the rest by time.
import { batch, useSignal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { follow } from "./feed/feed";
import type { News } from "./feed/news";
import { Loading } from "./loading";
import { at } from "./router";
import { logins } from "./session";

/** Should news be lost on a way that nothing foresees, a page is this old at most. */
const SAFETY_SECONDS = 60;

export interface Resource<T> {
  data: Signal<T | null>;
  /** Why the last load failed; null if it did not. */
  error: Signal<Error | null>;
  /** Whether `data` is that of another moment, until that of this one has come. */
  old: Signal<boolean>;
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

/**
 * Loads when `key` changes, after a login, on `reload`, and `again`. Keys that are `about` the same differ only in the
 * moment: the data of one stays, as `old`, until that of the next is there.
 */
export function useResource<T>(
  key: string,
  load: (signal: AbortSignal) => Promise<T>,
  again: Again = 0,
  about: string = key,
): Resource<T> {
  const data = useSignal<T | null>(null);
  const old = useSignal(false);
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
            old.value = false;
            error.value = null;
            slow.value = false;
          }),
        failed: (problem) =>
          batch(() => {
            if (old.value) data.value = null;
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

  // another thing: what was shown for the first may not stand for the second
  const before = useRef({ key, about });
  if (before.current.about !== about) {
    data.value = null;
    old.value = false;
    error.value = null;
  } else if (before.current.key !== key) old.value = true;
  before.current = { key, about };
  return { data, old, error, slow, reload: () => run.current() };
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
  const about = `${key} ${then === null}`; // the present never stands for the past
  return useResource(`${key} ${then}`, (signal) => load(then, signal), then === null ? again : 0, about);
}
