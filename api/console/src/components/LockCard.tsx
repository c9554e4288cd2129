// The locks of one workspace: its paths as a tree and those that wait in their order, all claims as a list, or what has been.
import { useComputed, useSignal } from "@preact/signals";
import { useId, useMemo } from "preact/hooks";
import type { Task } from "../lib/api";
import { claimChanges } from "../lib/differences";
import { plural } from "../lib/format";
import { type Entry, type PathNode, type Side, type Waiter, behind, chain, firstNodes, firstPlaces, keyOf, longestSince, pathTree } from "../lib/locks";
import { at } from "../lib/router";
import { shown } from "../lib/safe_text";
import type { Titles } from "../lib/titles";
import { type Card, ClaimItem, HolderRow, WaiterAtPath } from "./ClaimRows";
import { ClaimTable } from "./ClaimTable";
import { Link, TaskLink } from "./Link";
import { LockHistory } from "./LockHistory";
import { Paths } from "./Paths";
import { NowTag, SinceThen } from "./SinceThen";
import { Glyph } from "./Status";
import { Moment, Span } from "./Time";

interface LockCardProps {
  entry: Entry;
  titles: Titles;
  /** Tasks whose lock was freed by hand, and whose attempt has not ended. */
  freed: readonly Task[];
  root: string | null;
  /** `whole`: the only card of its page; `brief`: only its numbers. */
  extent: "whole" | "some" | "brief";
  view: View;
  /** The same workspace now, where the past is compared with it. */
  present: Entry | null;
}

export type View = "tree" | "list" | "history";

// a page of ten thousand elements is slow, and read by no one
const HEADINGS: Record<View, string> = { tree: "Paths", list: "Claims", history: "History" };
const FEW = { nodes: 20, claims: 5 };
const MANY = { nodes: 120, claims: 60 };

export function LockCard({ entry, titles, freed, root, extent, view, present }: LockCardProps) {
  const heading = useId();
  const whole = extent === "whole";
  const most = whole ? MANY : FEW;
  const pointed = useSignal<string | null>(null);
  const shownEntry = useSignal(entry);
  shownEntry.value = entry;
  const sides = useComputed<ReadonlyMap<string, Side>>(() =>
    pointed.value === null ? new Map() : chain(shownEntry.value, pointed.value),
  );
  const changes = useMemo(() => (present === null ? [] : claimChanges(entry, present)), [entry, present]);
  const byClaim = new Map(changes.map((one) => [keyOf(one.claim), one]));
  const card: Card = { workspace: entry.workspace, titles, pointed, sides, whole, changes: byClaim };
  return (
    <section class="card lock-card" aria-labelledby={heading}>
      <header class="lock-head">
        <h2 id={heading} tabIndex={-1} data-workspace={entry.workspace}>
          {whole ? HEADINGS[view] : <Link to={`/locks/${encodeURIComponent(entry.workspace)}`} params={{ view: view === "tree" ? null : view }}>{entry.workspace}</Link>}
        </h2>
        {root !== null && <span class="mono dim root">{shown(root)}</span>}
        {!whole && <Numbers entry={entry} />}
      </header>
      <Freed tasks={freed} />
      {present !== null && <SinceThen changes={changes} titles={titles} />}
      {extent !== "brief" && view === "list" && <ClaimTable entry={entry} card={card} most={most.claims * 2} />}
      {extent !== "brief" && view === "history" && <LockHistory workspace={entry.workspace} titles={titles} whole={whole} />}
      {extent !== "brief" && view === "tree" && (
        <div class="lock-parts">
          <Tree entry={entry} card={card} most={most} />
          {entry.waiters.length > 0 && <Waiters entry={entry} card={card} most={most.claims} />}
        </div>
      )}
    </section>
  );
}

export function Numbers({ entry }: { entry: Entry }) {
  const since = longestSince(entry);
  return (
    <span class="numbers">
      {entry.holders.length} held · {entry.waiters.length} waiting
      {since !== null && (
        <>
          {" "}
          · longest <Span from={since} to={null} />
        </>
      )}
    </span>
  );
}

function Freed({ tasks }: { tasks: readonly Task[] }) {
  return (
    <div role="status">
      {tasks.length > 0 && (
        <ul class="freed">
          {tasks.map((task) => (
            <li key={task.id}>
              <TaskLink id={task.id} title={task.title} /> was released from <Paths of={task.lock_paths} />:{" "}
              <strong>its process may still write</strong>, until attempt {task.attempt} ends.
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

interface PartProps {
  entry: Entry;
  card: Card;
}

function Tree({ entry, card, most }: PartProps & { most: typeof FEW }) {
  const { tree, left, first } = useMemo(() => {
    const cut = firstNodes(pathTree(entry), most.nodes);
    return { ...cut, first: firstPlaces(cut.tree) };
  }, [entry, most]);
  if (entry.holders.length + entry.waiters.length === 0) {
    return <p class="dim">{at.value === null ? "Nothing is held here, and nothing waits." : "Nothing was held here, and nothing waited."}</p>;
  }
  return (
    <div class="tree-part">
      <ul class="path-tree" aria-label={`paths of ${entry.workspace}`}>
        <Node node={tree} card={card} first={first} most={most.claims} />
      </ul>
      {left > 0 && <More card={card} words={`${plural(left, "more path")}`} />}
    </div>
  );
}

export function More({ card, words }: { card: Card; words: string }) {
  return (
    <p class="dim left-out">
      {card.whole ? `and ${words}` : <Link to={`/locks/${encodeURIComponent(card.workspace)}`}>{words}</Link>}
    </p>
  );
}

interface NodeProps {
  node: PathNode;
  card: Card;
  first: ReadonlyMap<string, string>;
  most: number;
}

function Node({ node, card, first, most }: NodeProps) {
  const { holders, waiters, inherited, children } = node;
  const left = Math.max(0, holders.length - most) + Math.max(0, waiters.length - most);
  return (
    <li>
      <div class="path-line">
        <span class="path mono">{node.path === "" ? "." : <bdi>{shown(node.name)}</bdi>}</span>
        {node.path === "" && <span class="dim">the whole workspace</span>}
        {inherited.length > 0 && holders.length === 0 && <Inherited holders={inherited} card={card} />}
      </div>
      {holders.length + waiters.length > 0 && (
        <ul class="claims">
          {holders.slice(0, most).map((one) => (
            <HolderRow key={keyOf(one)} holder={one} first={first.get(keyOf(one)) === node.path} card={card} />
          ))}
          {waiters.slice(0, most).map((one) => (
            <WaiterAtPath key={keyOf(one)} waiter={one} card={card} />
          ))}
        </ul>
      )}
      {left > 0 && <More card={card} words={plural(left, "more claim")} />}
      {children.length > 0 && (
        <ul>
          {children.map((one) => (
            <Node key={one.name} node={one} card={card} first={first} most={most} />
          ))}
        </ul>
      )}
    </li>
  );
}

function Inherited({ holders, card }: { holders: PathNode["inherited"]; card: Card }) {
  const [one, ...others] = holders;
  if (one === undefined) return null;
  return (
    <span class="inherited dim">
      held from above by <bdi>{shown(card.titles.get(one.task_id) || one.task_id)}</bdi>
      {others.length > 0 && ` and ${others.length} more`}
    </span>
  );
}

function Waiters({ entry, card, most }: PartProps & { most: number }) {
  const left = entry.waiters.length - most;
  return (
    <div class="waiters-part">
      <h3>Waiting, in order</h3>
      <ol class="waiters" aria-label={`waiting in ${entry.workspace}`}>
        {entry.waiters.slice(0, most).map((one) => (
          <WaiterRow key={keyOf(one)} waiter={one} entry={entry} card={card} />
        ))}
      </ol>
      {left > 0 && <More card={card} words={`${plural(left, "more waiter")}`} />}
    </div>
  );
}

function WaiterRow({ waiter, entry, card }: PartProps & { waiter: Waiter }) {
  const name = (id: string) => card.titles.get(id) ?? "";
  return (
    <ClaimItem claim={waiter} card={card} kind="waits">
      <span class="place">
        <Glyph state="waiting" />
        <span class="number">{waiter.position}</span>
      </span>
      <div class="words">
        <p>
          <span class="name">
            <TaskLink id={waiter.task_id} title={name(waiter.task_id)} />
          </span>{" "}
          wants <Paths of={waiter.paths} /> {waiter.mode === "shared" && <span class="dim">shared</span>}
        </p>
        <p class="behind">
          {behind(waiter, entry).map((part, index) =>
            part.kind === "task" ? <TaskLink key={index} id={part.id} title={name(part.id)} /> : shown(part.text),
          )}
        </p>
        <NowTag change={card.changes.get(keyOf(waiter))} />
        <p class="dim">
          waits <Span from={waiter.since} to={null} />
          {waiter.gives_up_at != null && (
            <>
              , gives up at <Moment at={waiter.gives_up_at} />
            </>
          )}
        </p>
      </div>
    </ClaimItem>
  );
}
