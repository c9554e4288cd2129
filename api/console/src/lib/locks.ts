// The locks of a workspace as people look at them: a tree of paths, who is behind whom, and which workspace comes first.
import type { Schemas } from "./api";

export type Entry = Schemas["LockEntry"];
export type Holder = Schemas["HolderRead"];
export type Waiter = Schemas["WaiterRead"];
type Claim = Pick<Holder, "task_id" | "attempt">;

export interface PathNode {
  /** Relative to the workspace's root; "" is the workspace itself. */
  path: string;
  /** What this node adds to the path above it: several components where nothing is claimed in between. */
  name: string;
  holders: Holder[];
  waiters: Waiter[];
  /** Holders of paths above this one, which therefore hold this one, too. */
  inherited: Holder[];
  children: PathNode[];
}

interface Building extends Omit<PathNode, "children" | "inherited"> {
  below: Map<string, Building>;
}

/** All claimed paths below the workspace itself, in the order of their names. */
export function pathTree(entry: Entry): PathNode {
  const root = begun("", "");
  for (const one of entry.holders) for (const path of everywhere(one.paths)) nodeAt(root, path).holders.push(one);
  for (const one of entry.waiters) for (const path of everywhere(one.paths)) nodeAt(root, path).waiters.push(one);
  return finished(root, []);
}

function everywhere(paths: readonly string[]): readonly string[] {
  return paths.length === 0 ? [""] : paths;
}

function begun(path: string, name: string): Building {
  return { path, name, holders: [], waiters: [], below: new Map() };
}

function nodeAt(root: Building, path: string): Building {
  let node = root;
  for (const name of components(path)) {
    let next = node.below.get(name);
    if (next === undefined) {
      next = begun(node.path === "" ? name : `${node.path}/${name}`, name);
      node.below.set(name, next);
    }
    node = next;
  }
  return node;
}

function finished(node: Building, inherited: Holder[]): PathNode {
  const below = inherited.concat(node.holders);
  const children = [...node.below.values()].map(joined).sort((a, b) => (a.name < b.name ? -1 : 1));
  const { path, name, holders, waiters } = node;
  return { path, name, holders, waiters, inherited, children: children.map((one) => finished(one, below)) };
}

/** `a/b/c` as one node where nothing is claimed at `a` and `a/b`, and nothing else lies in them. */
function joined(node: Building): Building {
  let [here, name] = [node, node.name];
  while (here.below.size === 1 && here.holders.length === 0 && here.waiters.length === 0) {
    const [only] = here.below.values();
    if (only === undefined) break;
    here = only;
    name += `/${only.name}`;
  }
  return { ...here, name };
}

/** The first `most` nodes of a tree in the order that it is read in, and how many are left out. */
export function firstNodes(tree: PathNode, most: number): { tree: PathNode; left: number } {
  let room = most;
  let left = 0;
  const take = (node: PathNode): PathNode | null => {
    if (room === 0) {
      left += size(node);
      return null;
    }
    room -= 1;
    return { ...node, children: node.children.map(take).filter((one) => one !== null) };
  };
  return { tree: take(tree) ?? tree, left };
}

function size(node: PathNode): number {
  return node.children.reduce((sum, one) => sum + size(one), 1);
}

/** A claim that another one waits for; `paths` are those of it that are in the way. */
export interface Blocker {
  taskId: string;
  holds: boolean;
  paths: string[];
}

/** What a waiter is behind, holders first. */
export function blockers(waiter: Waiter, entry: Entry): Blocker[] {
  const others = new Set(waiter.blocked_by);
  const named = (claims: readonly (Holder | Waiter)[], holds: boolean): Blocker[] =>
    claims
      .filter((one) => others.has(one.task_id) && keyOf(one) !== keyOf(waiter))
      .map((one) => ({ taskId: one.task_id, holds, paths: inTheWay(waiter.paths, one.paths) }));
  return [...named(entry.holders, true), ...named(entry.waiters, false)];
}

/** Those of `theirs` that equal, contain or lie in one of `ours`; "." is the whole workspace. */
function inTheWay(ours: readonly string[], theirs: readonly string[]): string[] {
  if (theirs.length === 0) return ["."];
  if (ours.length === 0) return [...theirs];
  return theirs.filter((path) => ours.some((own) => covers(own, path) || covers(path, own)));
}

function covers(outer: string, inner: string): boolean {
  return inner === outer || inner.startsWith(`${outer}/`);
}

export type Part = { kind: "text"; text: string } | { kind: "task"; id: string };

/** "behind build (holds src) and test (waits)", with the tasks apart, so that they can be links. */
export function behind(waiter: Waiter, entry: Entry, most = 3): Part[] {
  const all = blockers(waiter, entry);
  if (all.length === 0) return [{ kind: "text", text: "next: nothing is in its way" }];
  const named = all.slice(0, most);
  const left = all.length - named.length;
  const found: Part[] = [{ kind: "text", text: "behind " }];
  for (const [index, one] of named.entries()) {
    const last = index === named.length - 1 && left === 0;
    if (index > 0) found.push({ kind: "text", text: last ? " and " : ", " });
    found.push({ kind: "task", id: one.taskId }, { kind: "text", text: ` (${whatOf(one)})` });
  }
  if (left > 0) found.push({ kind: "text", text: ` and ${left} more` });
  return found;
}

function whatOf({ holds, paths }: Blocker): string {
  if (!holds) return "waits";
  const [first, ...others] = paths;
  const place = first === undefined || first === "." ? "the whole workspace" : first;
  return others.length === 0 ? `holds ${place}` : `holds ${place} and ${others.length} more`;
}

export type Side = "self" | "ahead" | "behind";

/** What identifies a claim. */
export function keyOf(claim: Claim): string {
  return `${claim.task_id} ${claim.attempt}`;
}

/** The chain of one claim: itself, all that it waits for, and all that waits for it, over every step in between. */
export function chain(entry: Entry, key: string): Map<string, Side> {
  const found = new Map<string, Side>([[key, "self"]]);
  const waiters = [...entry.waiters].sort((a, b) => a.position - b.position);
  const claims = new Map<string, Claim[]>();
  for (const one of [...entry.holders, ...waiters]) claims.set(one.task_id, [...(claims.get(one.task_id) ?? []), one]);
  // a waiter waits for none that comes after it, so one walk in each direction meets them all
  for (const waiter of [...waiters].reverse()) {
    if (!found.has(keyOf(waiter))) continue;
    for (const one of waiter.blocked_by.flatMap((id) => claims.get(id) ?? []))
      if (!found.has(keyOf(one))) found.set(keyOf(one), "ahead");
  }
  const here = new Set([taskOf(key)]);
  for (const waiter of waiters) {
    if (found.has(keyOf(waiter)) || !waiter.blocked_by.some((id) => here.has(id))) continue;
    found.set(keyOf(waiter), "behind");
    here.add(waiter.task_id);
  }
  return found;
}

function taskOf(key: string): string {
  return key.slice(0, key.lastIndexOf(" "));
}

/** The path at which each claim is drawn first, by its key. */
export function firstPlaces(tree: PathNode): Map<string, string> {
  const found = new Map<string, string>();
  const walk = (node: PathNode) => {
    for (const one of [...node.holders, ...node.waiters]) if (!found.has(keyOf(one))) found.set(keyOf(one), node.path);
    node.children.forEach(walk);
  };
  walk(tree);
  return found;
}

/** When the longest wait of a workspace began; null if nothing waits. */
export function longestSince(entry: Entry): string | null {
  return entry.waiters.reduce<string | null>((first, one) => (first === null || one.since < first ? one.since : first), null);
}

/** Most waiters first, then the longest wait, then most holders, then by name. */
export function mostContended(entries: readonly Entry[]): Entry[] {
  return [...entries].sort((a, b) => {
    const since = (longestSince(a) ?? "~").localeCompare(longestSince(b) ?? "~");
    return b.waiters.length - a.waiters.length || since || b.holders.length - a.holders.length || (a.workspace < b.workspace ? -1 : 1);
  });
}

/** Ids of all tasks in `entries`, each once, at most `most`. */
export function taskIds(entries: readonly Entry[], most: number): string[] {
  const found = new Set<string>();
  for (const entry of entries)
    for (const one of [...entry.holders, ...entry.waiters]) {
      if (found.size >= most) return [...found];
      found.add(one.task_id);
    }
  return [...found];
}

function components(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}

/** What is known of the process of an attempt that holds a lock, before an operator frees it. */
export function processWords(task: { status: string; attempt: number }, holder: Claim & Pick<Holder, "runner_id">): { mayRun: boolean; words: string } {
  const on = holder.runner_id === null ? "" : ` on ${holder.runner_id}`;
  if (task.attempt === holder.attempt && task.status === "running")
    return { mayRun: true, words: `A process of attempt ${holder.attempt} may run${on}: it has started and its end is not in the log.` };
  if (task.attempt === holder.attempt && task.status === "queued")
    return { mayRun: true, words: `A process of attempt ${holder.attempt} may run${on}: the runner has taken it.` };
  return { mayRun: false, words: `No process of attempt ${holder.attempt} runs: no runner has taken it, or it has ended.` };
}
