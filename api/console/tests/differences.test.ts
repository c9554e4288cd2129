import { expect, it } from "vitest";
import type { Row } from "../src/lib/api";
import { claimChanges, taskDifferences } from "../src/lib/differences";
import type { Entry, Holder, Waiter } from "../src/lib/locks";

const holder = (id: string): Holder => ({ task_id: id, attempt: 1, token: 7 }) as Holder;
const waiter = (id: string, position: number): Waiter => ({ task_id: id, attempt: 1, position }) as Waiter;
const entry = (holders: Holder[], waiters: Waiter[]): Entry => ({ workspace: "shop", holders, waiters });
const words = (then: Entry, now: Entry) => claimChanges(then, now).map(({ kind, claim }) => `${kind} ${claim.task_id}`);

it("finds claims that ended, began, were granted or moved up", () => {
  const then = entry([holder("a"), holder("same")], [waiter("b", 1), waiter("c", 2), waiter("d", 3)]);
  const now = entry([holder("same"), holder("b")], [waiter("d", 1), waiter("e", 2)]);
  expect(words(then, now)).toEqual(["gone a", "granted b", "gone c", "moved d", "new e"]);
  expect(claimChanges(then, now)[3]?.place).toEqual({ then: 3, now: 1 });
  expect(words(then, then)).toEqual([]);
});

it("takes another attempt of the same task for another claim", () => {
  expect(words(entry([holder("a")], []), entry([{ ...holder("a"), attempt: 2 }], []))).toEqual(["gone a", "new a"]);
});

it("names what of a task is different, and nothing else", () => {
  const then = { status: "dispatched", next_attempt_at: null, attempt: 1, runner_id: null, reason: null, exit_code: null, seq: 5, lock: { state: "waiting", token: null } } as Row;
  const now: Row = { ...then, status: "failed", runner_id: "host-1", reason: "exit", exit_code: 3, seq: 9, lock: { ...then.lock, state: "released", token: 7 } };
  expect(taskDifferences(then, then)).toEqual([]);
  expect(taskDifferences(then, now)).toEqual([
    { name: "Status", then: "waiting for lock", now: "failed" },
    { name: "Lock", then: "waiting", now: "released, token 7" },
    { name: "Runner", then: "–", now: "host-1" },
    { name: "Reason", then: "–", now: "exit" },
    { name: "Exit code", then: "–", now: "3" },
    { name: "Last event", then: "5", now: "9" },
  ]);
});
