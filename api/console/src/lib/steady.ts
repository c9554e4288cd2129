// What a person looks at stays where it is while the moment changes: the page keeps its height until it is drawn anew.
import { at } from "./router";

const QUIET_MS = 400;

/** A page whose content is gone for a moment is short, and the browser would scroll it to its top. Returns what ends it. */
export function keepHeight(page: HTMLElement | null): () => void {
  if (page === null) return () => {};
  let timer: ReturnType<typeof setTimeout> | undefined;
  const watch = new MutationObserver(() => settle());
  const settle = () => {
    clearTimeout(timer);
    timer = setTimeout(() => (page.querySelector("[aria-busy=true], .skeleton") === null ? free() : settle()), QUIET_MS);
  };
  const free = () => {
    clearTimeout(timer);
    watch.disconnect();
    page.style.removeProperty("min-height");
  };
  const hold = () => {
    page.style.setProperty("min-height", `${page.offsetHeight}px`);
    watch.observe(page, { childList: true, subtree: true });
    settle();
  };
  let before = at.peek();
  const end = at.subscribe((now) => {
    if (now !== before) hold();
    before = now;
  });
  return () => {
    end();
    free();
  };
}
