// What is different now: a moment of the past beside the present, for tasks and for locks. Pure.
import type { Row } from "./api";
import { type Entry, type Holder, type Waiter, keyOf } from "./locks";
import { WORD, stateOf } from "./status";

export interface Difference {
  name: string;
  then: string;
  now: string;
}

/** What of a task is different now, in words; lists and pages show the same. */
export function taskDifferences(then: Row, now: Row): Difference[] {
  const rows: [string, string | number | null, string | number | null][] = [
    ["Status", WORD[stateOf(then)], WORD[stateOf(now)]],
    ["Attempt", then.attempt, now.attempt],
    ["Lock", lockWords(then), lockWords(now)],
    ["Runner", then.runner_id, now.runner_id],
    ["Reason", then.reason, now.reason],
    ["Exit code", then.exit_code, now.exit_code],
    ["Last event", then.seq, now.seq],
  ];
  return rows
    .filter(([, before, after]) => before !== after)
    .map(([name, before, after]) => ({ name, then: String(before ?? "–"), now: String(after ?? "–") }));
}

function lockWords({ lock }: Row): string {
  return lock.token === null ? lock.state : `${lock.state}, token ${lock.token}`;
}

export type ChangeKind = "gone" | "new" | "granted" | "moved";

export interface ClaimChange {
  kind: ChangeKind;
  claim: Holder | Waiter;
  /** For a waiter whose place is another one now. */
  place?: { then: number; now: number };
}

/** Claims that were open then and are over now, that have begun since, that were granted since, or have another place. */
export function claimChanges(then: Entry, now: Entry): ClaimChange[] {
  const held = new Map(now.holders.map((one) => [keyOf(one), one]));
  const waiting = new Map(now.waiters.map((one) => [keyOf(one), one]));
  const found: ClaimChange[] = [];
  for (const one of then.holders) if (!held.has(keyOf(one))) found.push({ kind: "gone", claim: one });
  for (const one of then.waiters) {
    const granted = held.get(keyOf(one));
    const waits = waiting.get(keyOf(one));
    if (granted !== undefined) found.push({ kind: "granted", claim: granted });
    else if (waits === undefined) found.push({ kind: "gone", claim: one });
    else if (waits.position !== one.position) found.push({ kind: "moved", claim: waits, place: { then: one.position, now: waits.position } });
  }
  const before = new Set([...then.holders, ...then.waiters].map(keyOf));
  for (const one of [...now.holders, ...now.waiters]) if (!before.has(keyOf(one))) found.push({ kind: "new", claim: one });
  return found;
}
