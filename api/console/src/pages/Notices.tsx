// Notices: whether they arrive, what could not be sent, and sending that again.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ChannelTable } from "../components/Channels";
import { Command } from "../components/Command";
import { Link } from "../components/Link";
import { Notices } from "../components/Notices";
import { Page } from "../components/Page";
import { Empty } from "../components/States";
import { get, post } from "../lib/api";
import { focusTitle } from "../lib/focus";
import { type Channels, type Notice, NOTIFIER, seenUpto } from "../lib/notices";
import { useResource } from "../lib/resource";
import { at } from "../lib/router";
import { shown } from "../lib/safe_text";

const REFRESH_SECONDS = 5;
/** A notifier shows that it works every two seconds. */
const SOON_SECONDS = 2;
const PAGE = 50;
const NEWEST = 20;

interface Shown extends Channels {
  dead: readonly Notice[];
  moreDead: boolean;
  newest: readonly Notice[];
}

async function load(pages: number, signal: AbortSignal): Promise<Shown> {
  const [channels, dead, newest] = await Promise.all([
    get("/notices/channels", { signal }),
    loadDead(pages, signal),
    get("/notices", { query: { limit: NEWEST }, signal }),
  ]);
  return { ...channels, ...dead, newest: newest.items.filter((one) => one.state !== "dead") };
}

async function loadDead(pages: number, signal: AbortSignal): Promise<Pick<Shown, "dead" | "moreDead">> {
  const dead: Notice[] = [];
  let cursor: string | null | undefined;
  for (let page = 0; page < pages; page += 1) {
    const next = await get("/notices", { query: { state: "dead", limit: PAGE, cursor }, signal });
    dead.push(...next.items);
    cursor = next.next_cursor;
    if (cursor == null) break;
  }
  return { dead, moreDead: cursor != null };
}

export function NoticesPage() {
  return at.value === null ? <Live /> : <NotOfThePast />;
}

function NotOfThePast() {
  return (
    <div class="page notices">
      <h1 tabIndex={-1}>Notices</h1>
      <Empty title="Notices are not in the log">
        <p>
          What was told by another moment is not known, only what is kept now:{" "}
          <Link to="/notices" params={{ at: null }}>
            notices as of now
          </Link>
          .
        </p>
      </Empty>
    </div>
  );
}

function Live() {
  const pages = useSignal(1);
  const soon = useSignal(true);
  const found = useResource("notices", (signal) => load(pages.value, signal), soon.value ? SOON_SECONDS : REFRESH_SECONDS);
  const touched = useRef(false);
  const after = () => {
    touched.current = true;
    found.reload();
  };
  const notifier = found.data.value?.notifier;
  useEffect(() => {
    soon.value = notifier === undefined || notifier === "unknown";
  }, [notifier]);
  useEffect(() => {
    // the button that had the focus is gone with its notice
    if (touched.current && document.activeElement === document.body) focusTitle();
    touched.current = false;
  }, [found.data.value]);
  const more = () => {
    pages.value += 1;
    found.reload();
  };
  return (
    <Page kind="notices" title="Notices" of={found} rows={6} total={(all) => all.configured && <Works notifier={all.notifier} />}>
      {(all) => (all.configured ? <Parts all={all} after={after} more={more} /> : <NotConfigured />)}
    </Page>
  );
}

function Works({ notifier }: Pick<Channels, "notifier">) {
  const { family, word } = NOTIFIER[notifier];
  return <span class={`status ${family}`}>{word}</span>;
}

function Parts({ all, after, more }: { all: Shown; after: () => void; more: () => void }) {
  const { advice } = NOTIFIER[all.notifier];
  const known = new Set(all.channels.filter((one) => one.kind !== null).map((one) => one.name));
  return (
    <>
      {advice !== "" && <p class="note">{advice}</p>}
      <section class="card" aria-labelledby="channels">
        <h2 id="channels">Channels</h2>
        {all.channels.length === 0 ? (
          <p class="dim">None is known until a notifier has worked with its file.</p>
        ) : (
          <ChannelTable of={all.channels} upto={seenUpto(all.dead)} after={after} />
        )}
      </section>
      <section class="card" aria-labelledby="undelivered">
        <h2 id="undelivered">Not delivered</h2>
        <p class="dim">No try could send these within a day, or their receiver wants no more. They are kept for 14 days.</p>
        {all.dead.length === 0 ? (
          <p class="calm">None: every notice has arrived, or is still tried.</p>
        ) : (
          <Notices of={all.dead} command={(one) => (known.has(one.channel) ? <Again notice={one} after={after} /> : null)} />
        )}
        {all.moreDead && (
          <button type="button" class="button more" onClick={more}>
            Show more
          </button>
        )}
      </section>
      <section class="card" aria-labelledby="newest">
        <h2 id="newest">Newest</h2>
        {all.newest.length === 0 ? <p class="dim">Nothing was told yet.</p> : <Notices of={all.newest} />}
      </section>
    </>
  );
}

function Again({ notice: { channel, id, settled_at: settled, text }, after }: { notice: Notice; after: () => void }) {
  const run = async () => {
    const { items } = await post("/notices/replay", {}, { items: [{ channel, id, settled_at: settled ?? "" }] });
    if (items[0]?.outcome !== "replayed") throw new Error("it has changed meanwhile, and was left as it is: the page shows it as it is now");
  };
  return (
    <Command
      operation="POST /notices/replay"
      kind="small"
      label="Send again"
      name={`Send again: ${shown(text.split("\n")[0] ?? "")}`}
      run={run}
      done={`It is sent to ${channel} again.`}
      after={after}
    />
  );
}

function NotConfigured() {
  return (
    <Empty title="No notifier is configured">
      <p>A notifier tells people and programs what you ask for: a task failed, a job asks, a runner is lost. To set one up:</p>
      <pre>{"towpath notifier init notify.toml\n# write where to send into it, then\nexport TOWPATH_NOTIFY=$PWD/notify.toml\ntowpath notifier test ops\ntowpath up"}</pre>
      <p>
        <code>docs/notices.md</code> shows it with a receiver to try. Where a notifier runs elsewhere, set <code>TOWPATH_NOTIFY</code> for this
        API, too.
      </p>
    </Empty>
  );
}
