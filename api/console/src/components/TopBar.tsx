import { now } from "../lib/clock";
import { connection } from "../lib/connection";
import { clockTime, duration } from "../lib/format";
import { link } from "../lib/feed/feed";
import { say } from "../lib/messages";
import { shown } from "../lib/safe_text";
import { logOut, session } from "../lib/session";
import { nextTheme, theme } from "../lib/theme";
import { AsOfChip } from "./AsOf";
import { Help } from "./Help";
import { Icon } from "./Icon";
import { Palette } from "./Palette";
import { Search } from "./Search";

export function TopBar() {
  return (
    <header class="top">
      <Search />
      <Palette />
      <span class="utc dim" title="All times of the console are UTC">
        UTC
      </span>
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
        <button type="button" class="button" onClick={() => void logOut().catch((error: Error) => say(`You are still logged in: ${error.message}`, "bad"))}>
          Log out
        </button>
      </div>
    </details>
  );
}
