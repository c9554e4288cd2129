// Locks: who holds which path of which workspace, who waits behind whom, and the release by hand.
import { LockCard, Numbers, type View } from "../components/LockCard";
import { Link } from "../components/Link";
import { Releasing } from "../components/Release";
import { Page } from "../components/Page";
import { Empty } from "../components/States";
import { Problem, type Task, get } from "../lib/api";
import { plural } from "../lib/format";
import { ADD_WORKSPACE } from "../lib/hints";
import { useLease } from "../lib/lease";
import { type Entry, mostContended, taskIds } from "../lib/locks";
import { type Resource, useMoment, useResource } from "../lib/resource";
import { at, comparing, here, place } from "../lib/router";
import { shown } from "../lib/safe_text";
import { type Titles, loadTitles } from "../lib/titles";
import type { PageProps } from "../pages";

/** Heartbeats, on which the leases depend, are not in the log. */
const LEASE_SECONDS = 5;
const MOST_WORKSPACES = 100;
const MOST_TITLES = 400;
const FULL_CARDS = 6;
const FULL_HISTORIES = 3; // each is a request of its own

interface Shown {
  entries: Entry[];
  titles: Titles;
  /** Roots by workspace, as far as they are known. */
  roots: ReadonlyMap<string, string>;
  more: boolean;
}

async function loadAll(then: string | null, signal: AbortSignal): Promise<Shown> {
  const [locks, workspaces] = await Promise.all([
    get("/locks", { query: { limit: MOST_WORKSPACES, at: then }, signal }),
    get("/workspaces", { query: { limit: 500, at: then }, signal }),
  ]);
  const entries = mostContended(locks.items);
  return {
    entries,
    titles: await loadTitles(taskIds(entries, MOST_TITLES), signal),
    roots: new Map(workspaces.items.map((one) => [one.id, one.root])),
    more: locks.next_cursor != null,
  };
}

async function loadOne(workspace: string, then: string | null, signal: AbortSignal): Promise<Shown> {
  const path = { workspace };
  const [entry, registered] = await Promise.all([
    get("/workspaces/{workspace}/locks", { path, query: { at: then }, signal }),
    then === null ? get("/workspaces/{workspace}", { path, signal }) : null,
  ]);
  return {
    entries: [entry],
    titles: await loadTitles(taskIds([entry], MOST_TITLES), signal),
    roots: new Map(registered === null ? [] : [[workspace, registered.root]]),
    more: false,
  };
}

/** Tasks whose lock was freed by hand while their attempt goes on; not known of the past. */
function useFreed(workspace: string | null): Resource<Task[]> {
  return useMoment(
    `freed ${workspace}`,
    async (then, signal) => {
      if (then !== null) return [];
      const query = { status: ["queued", "running"], workspace, view: "row", limit: 200 };
      const page = await get("/tasks", { query, signal });
      return (page.items as Task[]).filter((task) => task.workspace !== null && task.lock.state === "released");
    },
    (news) => (workspace === null ? news.workspaces.size > 0 : news.workspaces.has(workspace)),
  );
}

const REMOVED: Shown = { entries: [], titles: new Map(), roots: new Map(), more: false };

/** The same now, while the past is compared with it. */
function usePresent(workspace: string | null): Resource<Shown | null> {
  const on = comparing.value;
  return useResource(
    `present ${workspace} ${on}`,
    async (signal) => {
      if (!on) return null;
      if (workspace === null) return loadAll(null, signal);
      return loadOne(workspace, null, signal).catch((error: unknown) => {
        if (error instanceof Problem && error.status === 404) return REMOVED;
        throw error;
      });
    },
    on ? (news) => (workspace === null ? news.workspaces.size > 0 : news.workspaces.has(workspace)) : 0,
  );
}

const VIEWS: readonly View[] = ["tree", "list", "history"];

function viewShown(): View {
  return VIEWS.find((one) => one === place.value.query.get("view")) ?? "tree";
}

function Views() {
  return (
    <nav class="views" aria-label="View">
      {VIEWS.map((view) => (
        <a key={view} href={here({ view: view === "tree" ? null : view })} aria-current={view === viewShown() ? "true" : undefined}>
          {view}
        </a>
      ))}
    </nav>
  );
}

export function LocksPage() {
  return <LocksOf workspace={null} of={useMoment("locks", loadAll, { news: (news) => news.workspaces.size > 0, seconds: LEASE_SECONDS })} />;
}

export function WorkspaceLocksPage({ params }: PageProps) {
  const workspace = params["workspace"] ?? "";
  const load = (then: string | null, signal: AbortSignal) => loadOne(workspace, then, signal);
  const found = useMoment(workspace, load, { news: (news) => news.workspaces.has(workspace), seconds: LEASE_SECONDS });
  return <LocksOf workspace={workspace} of={found} />;
}

function LocksOf({ workspace, of }: { workspace: string | null; of: Resource<Shown> }) {
  const freed = useFreed(workspace);
  const present = usePresent(workspace);
  useLease();
  const whole = workspace !== null;
  const crumbs = whole && (
    <p class="crumbs">
      <Link to="/locks">Locks</Link> / {shown(workspace)}
    </p>
  );
  return (
    <>
      <Page
        kind="locks"
        title={whole ? shown(workspace) : "Locks"}
        of={of}
        rows={6}
        total={({ entries }) => (whole ? entries.map((one) => <Numbers key={one.workspace} entry={one} />) : total(entries))}
        above={crumbs}
        beside={<Views />}
        beneath={<Past />}
      >
        {(data) => <Cards {...data} freed={freed.data.value ?? []} whole={whole} present={present.data.value} />}
      </Page>
      <Releasing after={() => [of, freed].forEach((one) => one.reload())} />
    </>
  );
}

function Past() {
  if (at.value === null) return null;
  return <p class="dim">Heartbeats are not in the log: whether a runner was alive, and its lease, are not known of the past.</p>;
}

function total(entries: readonly Entry[]): string {
  const held = entries.reduce((sum, one) => sum + one.holders.length, 0);
  const waiting = entries.reduce((sum, one) => sum + one.waiters.length, 0);
  return `${held} held · ${waiting} waiting · ${plural(entries.length, "workspace")}`;
}

interface CardsProps extends Shown {
  freed: readonly Task[];
  whole: boolean;
  present: Shown | null;
}

function Cards({ entries, titles, roots, more, freed, whole, present }: CardsProps) {
  const busy = entries.filter((one) => whole || one.holders.length + one.waiters.length > 0);
  const named = new Set(busy.map((one) => one.workspace));
  const since = (present?.entries ?? []).filter((one) => one.holders.length + one.waiters.length > 0);
  const others = [...freed.map((task) => task.workspace ?? ""), ...since.map((one) => one.workspace)];
  const without = [...new Set(others)].filter((id) => !named.has(id));
  const all = [...busy, ...without.map(nothingIn)];
  const now = new Map(present?.entries.map((one) => [one.workspace, one]));
  if (all.length === 0) return <NoLocks roots={roots} />;
  return (
    <div class="cards">
      {all.map((entry, index) => (
        <LockCard
          key={entry.workspace}
          entry={entry}
          titles={present === null ? titles : new Map([...titles, ...present.titles])}
          view={viewShown()}
          present={present === null ? null : (now.get(entry.workspace) ?? nothingIn(entry.workspace))}
          freed={freed.filter((task) => task.workspace === entry.workspace)}
          root={roots.get(entry.workspace) ?? null}
          extent={whole ? "whole" : index < (viewShown() === "history" ? FULL_HISTORIES : FULL_CARDS) ? "some" : "brief"}
        />
      ))}
      {more && <p class="dim">Of the first {MOST_WORKSPACES} workspaces by name that hold anything; there are more.</p>}
    </div>
  );
}

function nothingIn(workspace: string): Entry {
  return { workspace, holders: [], waiters: [] };
}

function NoLocks({ roots }: { roots: ReadonlyMap<string, string> }) {
  if (at.value !== null) return <Empty title="Nothing was held, and nothing waited" />;
  const [workspace] = roots.keys();
  if (workspace !== undefined) {
    return (
      <Empty title="Nothing is held, and nothing waits">
        <p>Hold a lock around any command in a terminal, and it shows here:</p>
        <pre>{`towpath lock --workspace ${workspace} -- sleep 60`}</pre>
        <p>
          <Link to="/workspaces">{plural(roots.size, "workspace")}</Link> registered.
        </p>
      </Empty>
    );
  }
  return (
    <Empty title="No workspace yet">
      <p>A workspace is a directory whose paths can be locked. Register one, and hold a lock in it:</p>
      <pre>{`${ADD_WORKSPACE}\ntowpath lock --workspace shop -- sleep 60`}</pre>
    </Empty>
  );
}
