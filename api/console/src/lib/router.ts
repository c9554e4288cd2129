// The address is the state: a page's path and parameters stand in the URL, and `at` on every link.
import { computed, signal } from "@preact/signals";

export interface Place {
  /** Below `/console`, such as `/tasks/0198…`. */
  path: string;
  query: URLSearchParams;
}

export type Params = Record<string, string | number | readonly string[] | null | undefined>;

/** ASGI root_path: where a proxy has put the API, "" at the top. */
export const ROOT = document.querySelector<HTMLMetaElement>('meta[name="towpath-root"]')?.content ?? "";
const BASE = `${ROOT}/console`;

function read(): Place {
  const below = location.pathname.slice(BASE.length);
  return { path: below === "" ? "/" : below, query: new URLSearchParams(location.search) };
}

export const place = signal<Place>(read());

/** The moment that is shown, as the URL has it: a sequence or a time; null is now. */
export const at = computed(() => place.value.query.get("at"));

/** Whether the past is shown beside the present. */
export const comparing = computed(() => at.value !== null && place.value.query.get("compare") === "now");

/** The address of a page; keeps `at`, and whether it is compared with now, unless `params` has another. */
export function href(path: string, params: Params = {}): string {
  const query = new URLSearchParams();
  const all: Params = { at: at.value, compare: comparing.value ? "now" : null, ...params };
  if (all["at"] == null) all["compare"] = null;
  for (const [name, value] of Object.entries(all)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") query.append(name, String(one));
    }
  }
  const text = query.toString().replaceAll("%3A", ":").replaceAll("%2F", "/");
  return BASE + path + (text === "" ? "" : `?${text}`);
}

/** The address of this page with other `params`, such as another `at`. */
export function here(params: Params): string {
  const { path, query } = place.value;
  return href(path, { ...Object.fromEntries([...query.keys()].map((name) => [name, query.getAll(name)])), ...params });
}

/** Show the page at `url`, which `href` made. */
export function go(url: string, options: { replace?: boolean } = {}): void {
  returning?.abort();
  if (options.replace) history.replaceState(null, "", url);
  else {
    history.replaceState({ down: scrollY }, "");
    history.pushState(null, "", url);
  }
  place.value = read();
}

const HELD_MS = 300;
const MOST_MS = 3000;
let returning: AbortController | null = null;

/** Scroll to where a page was left. The browser's own try comes before there is anything to scroll: until what is
 * loaded is so long, and stays so, or a person does something. */
function returnTo(down: number): void {
  const stop = new AbortController();
  returning?.abort();
  returning = stop;
  for (const one of ["wheel", "touchmove", "pointerdown", "keydown"]) addEventListener(one, () => stop.abort(), { signal: stop.signal, passive: true });
  const began = Date.now();
  let reached = began;
  const step = () => {
    if (stop.signal.aborted) return;
    if (Math.abs(scrollY - down) > 1) {
      scrollTo(0, down);
      reached = Date.now();
    }
    if (Date.now() - reached < HELD_MS && Date.now() - began < MOST_MS) requestAnimationFrame(step);
    else stop.abort();
  };
  step();
}

/** The parameters of `path` if it has the form of `pattern`, such as `/tasks/:id`. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split("/");
  const given = path.replace(/(?<=.)\/$/, "").split("/");
  if (wanted.length !== given.length) return null;
  const found: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? "";
    if (part.startsWith(":")) {
      try {
        found[part.slice(1)] = decodeURIComponent(value);
      } catch {
        return null;
      }
    } else if (part !== value) return null;
  }
  return found;
}

/** Follow links inside the console without loading the page again; returns what ends that. */
export function followLinks(): () => void {
  const click = (event: MouseEvent) => {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    const special = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0;
    if (link === null || event.defaultPrevented || special || link.target !== "" || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || !`${url.pathname}/`.startsWith(`${BASE}/`)) return;
    event.preventDefault();
    const elsewhere = url.pathname !== location.pathname;
    go(url.pathname + url.search);
    if (elsewhere) scrollTo(0, 0);
  };
  const back = ({ state }: PopStateEvent) => {
    place.value = read();
    const down: unknown = (state as { down?: unknown } | null)?.down;
    if (typeof down === "number") returnTo(down);
  };
  document.addEventListener("click", click);
  addEventListener("popstate", back);
  return () => {
    document.removeEventListener("click", click);
    removeEventListener("popstate", back);
  };
}
