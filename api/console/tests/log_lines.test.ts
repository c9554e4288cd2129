import { expect, it } from "vitest";
import { type EventName, type LogEvent, actorWords, lineOf, named } from "../src/lib/log_lines";

function event(kind: string, name: EventName, data: object): LogEvent {
  return {
    seq: 23,
    id: "e",
    type: `towpath.${kind}.${name}.v1` as LogEvent["type"],
    event: name,
    task_id: "t",
    workspace: null,
    attempt: 1,
    version: 1,
    time: "2026-03-01T12:00:00Z",
    actor: "operator:ann",
    chain: "c",
    data: data as LogEvent["data"],
  };
}

it.each([
  ["task", "created", { command: ["sh", "-c", "echo hi"] }, "sh -c 'echo hi'"],
  ["task", "dispatched", { pool: "gpu", workspace: "shop", lock_paths: ["src", "docs"], lock_mode: "shared" }, "pool gpu, shop: src docs (shared)"],
  ["task", "dispatched", { pool: "default", workspace: null, lock_paths: [] }, "pool default"],
  ["task", "running", { runner_id: "host-1", pid: 7 }, "on host-1, pid 7"],
  ["task", "failed", { reason: "exit", exit_code: 3, message: null }, "exit 3"],
  ["task", "failed", { reason: "exit", exit_code: 3, message: "exited with code 3" }, "exited with code 3"],
  ["task", "failed", { reason: "timeout", exit_code: null, message: "too long" }, "timeout, too long"],
  ["lock", "granted", { paths: [], mode: "exclusive" }, "token 23, whole workspace"],
  ["lock", "released", { cause: "succeeded", cause_seq: 22 }, "after succeeded at 22"],
  ["workspace", "registered", { root: "/srv/shop" }, "/srv/shop"],
  ["workspace", "removed", {}, ""],
] as const)("%s %s tells %o", (kind, name, data, words) => {
  expect(lineOf(event(kind, name, data)).words).toBe(words);
});

it("keeps nothing of large data", () => {
  const line = lineOf(event("task", "created", { command: ["x".repeat(10_000)] }));
  expect(line.words.length).toBe(200);
  expect(line).not.toHaveProperty("data");
});

it("calls an actor as people would", () => {
  expect(["api", "api/telegram:4711:alice", "operator:ann", "runner:runner-1", "runner:host-1"].map(actorWords)).toEqual([
    "someone (open API)",
    "api/telegram:4711:alice",
    "operator:ann",
    "runner-1",
    "runner:host-1",
  ]);
});

it("names events of locks and workspaces with their kind", () => {
  expect(named({ kind: "lock", event: "granted" })).toBe("lock granted");
  expect(named({ kind: "task", event: "cancel-requested" })).toBe("cancel requested");
});
