// The frame around every page: rail, top bar, the past's banner, messages, and the login where it is needed.
import { useEffect, useRef } from "preact/hooks";
import { loginNeeded } from "../lib/api";
import { shortcut } from "../lib/keys";
import { at, go, href, match, place } from "../lib/router";
import { useResource } from "../lib/resource";
import { loadSession } from "../lib/session";
import { outdated } from "../lib/version";
import { keepHeight } from "../lib/steady";
import { PAGES, type PageEntry } from "../pages";
import { Link } from "./Link";
import { Login } from "./Login";
import { Messages } from "./Messages";
import { PastBanner } from "./PastBanner";
import { Rail } from "./Rail";
import { Empty } from "./States";
import { TimeMachine } from "./TimeMachine";
import { TopBar } from "./TopBar";

interface Found {
  entry: PageEntry;
  params: Record<string, string>;
}

function find(path: string): Found | null {
  for (const entry of PAGES) {
    const params = match(entry.path, path);
    if (params !== null) return { entry, params };
  }
  return null;
}

export function Frame() {
  const found = find(place.value.path);
  useResource("session", loadSession);
  const main = useRef<HTMLElement>(null);
  const path = place.value.path;
  useEffect(() => {
    const ends = PAGES.flatMap(({ nav, title, path: to }) =>
      nav === undefined ? [] : [shortcut({ keys: `g ${nav.key}`, what: `go to ${title}`, run: () => go(href(to)) })],
    );
    return () => ends.forEach((end) => end());
  }, []);
  useEffect(() => {
    document.title = `${at.value === null ? "" : `as of ${at.value} · `}${found?.entry.title ?? "Not found"} · Towpath`;
  }, [path, at.value]);
  useEffect(() => keepHeight(main.current), []);
  const before = useRef(path);
  useEffect(() => {
    // as after a load: a screen reader begins with the new page, and Tab goes into it
    if (before.current !== path) main.current?.focus({ preventScroll: true });
    before.current = path;
  }, [path]);
  return (
    <div class={at.value === null ? "frame" : "frame past"}>
      <a class="skip" href="#main" onClick={(event) => skip(event, main.current)}>
        Skip to content
      </a>
      <Rail current={found?.entry ?? null} />
      <TopBar />
      <main id="main" ref={main} tabIndex={-1}>
        {outdated.value && <NewVersion />}
        <PastBanner />
        {found === null ? <NotFound /> : <found.entry.page key={path} params={found.params} />}
      </main>
      <TimeMachine />
      <Messages />
      {loginNeeded.value && <Login />}
    </div>
  );
}

function skip(event: Event, main: HTMLElement | null): void {
  event.preventDefault();
  main?.focus();
}

function NewVersion() {
  return (
    <p class="past-banner" role="status">
      <span>The API serves a newer console.</span>
      <button type="button" class="button" onClick={() => location.reload()}>
        Load it
      </button>
    </p>
  );
}

function NotFound() {
  return (
    <Empty page title="There is no such page">
      <p>
        <Link to="/tasks">Tasks</Link>
      </p>
    </Empty>
  );
}
