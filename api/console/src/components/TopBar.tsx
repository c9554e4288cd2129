import { useEffect, useRef } from "preact/hooks";
import { now } from "../lib/clock";
import { connection } from "../lib/connection";
import { clockTime, duration } from "../lib/format";
import { link } from "../lib/feed/feed";
import { shortcut } from "../lib/keys";
import { format, fromUrl, parse } from "../lib/query";
import { go, href, place } from "../lib/router";
import { shown } from "../lib/safe_text";
import { logOut, session } from "../lib/session";
import { nextTheme, theme } from "../lib/theme";
import { AsOfChip } from "./AsOf";
import { Help } from "./Help";
import { Icon } from "./Icon";
import { Palette } from "./Palette";

export function TopBar() {
  return (
    <header class="top">
      <Search />
      <Palette />
      <AsOfChip />
      <ConnectionChip />
      <button type="button" class="bare" aria-label={`theme: ${theme.value}`} title={`theme: ${theme.value}`} onClick={nextTheme}>
        <Icon name={theme.value} />
      </button>
      <Help />
      <Actor />
    </header>
  );
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Finds tasks from anywhere. On the list of tasks it holds the filters that are set. */
function Search() {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    return shortcut({ keys: "/", what: "search tasks", run: () => field.current?.select() });
  }, []);
  const onTasks = place.value.path === "/tasks";
  const value = onTasks ? format(fromUrl(place.value.query)) : "";
  const submit = (event: Event) => {
    event.preventDefault();
    const text = field.current?.value.trim() ?? "";
    if (UUID.test(text)) go(href(`/tasks/${text.toLowerCase()}`));
    else go(href("/tasks", parse(text)));
    field.current?.blur();
  };
  return (
    <form role="search" class="search" onSubmit={submit}>
      <Icon name="search" />
      <input
        key={value}
        ref={field}
        type="search"
        class="field"
        aria-label="Search tasks"
        placeholder="status:failed workspace:shop …"
        spellcheck={false}
        autocomplete="off"
        defaultValue={value}
      />
      <kbd aria-hidden="true">/</kbd>
    </form>
  );
}

function ConnectionChip() {
  const found = connection.value;
  if (found.state !== "away") {
    const polls = found.state === "connected" && link.value.state === "polling";
    return (
      <span class={`chip link ${found.state}`} role="status" title={polls ? "the API has no room for another live stream" : undefined}>
        <span class="lamp" aria-hidden="true" />
        <span>
          {found.state}
          {polls && ", looks every 5s"}
        </span>
      </span>
    );
  }
  const known = found.lastAt === null ? "" : ` · last known ${clockTime(new Date(found.lastAt), new Date(now.value))}`;
  return (
    <span class="chip link away" role="status">
      <span class="lamp" aria-hidden="true" />
      <span>
        not connected{known} · again in {duration(Math.max(1000, found.againAt - now.value))}
      </span>
    </span>
  );
}

function Actor() {
  const who = session.value;
  if (who === null) return null;
  if (who.open) {
    return (
      <span class="actor" title="The API has no tokens: every program of this machine may do everything">
        <Icon name="person" />
        <span>
          open<span class="wide">, this machine only</span>
        </span>
      </span>
    );
  }
  return (
    <details class="actor menu">
      <summary>
        <Icon name="person" />
        <span>
          <bdi>{shown(who.name ?? who.actor)}</bdi> <small>{who.role}</small>
        </span>
      </summary>
      <div class="popup">
        <p class="dim">Events name you as</p>
        <p class="mono">{shown(who.actor)}</p>
        <button type="button" class="button" onClick={() => void logOut()}>
          Log out
        </button>
      </div>
    </details>
  );
}
