import { expect, it } from "vitest";
import { BATCH, BulkRun, type Result, type Target, samples, tally } from "../src/lib/bulk";

const targets = (count: number): Target[] =>
  Array.from({ length: count }, (_, index) => ({ id: `t${index}`, attempt: 1, title: "", status: "running" as const }));
const all = (sent: readonly Target[], outcome: Result["outcome"]) => new Map(sent.map((one) => [one.id, { outcome, detail: null }]));
class Lost extends Error {}
const isUnknown = (error: unknown) => error instanceof Lost;
const look = async (sent: readonly Target[]) => all(sent, "unknown");

it("sends requests of a hundred, one after the other", async () => {
  const sizes: number[] = [];
  const run = new BulkRun("cancel", targets(250), "why", { look, isUnknown, send: async (action, sent, reason) => {
    sizes.push(sent.length);
    expect([action, reason]).toEqual(["cancel", "why"]);
    return all(sent, "recorded");
  } });
  await run.run();
  expect([sizes, run.phase.value, run.results.value.size]).toEqual([[BATCH, BATCH, 50], "done", 250]);
});

it("stops after the request that is under way, and goes on with the rest", async () => {
  const sent: string[] = [];
  const run: BulkRun = new BulkRun("dispatch", targets(250), null, { look, isUnknown, send: async (_, batch) => {
    sent.push(...batch.map((one) => one.id));
    if (sent.length === BATCH) run.stop();
    return all(batch, "recorded");
  } });
  await run.run();
  expect([run.phase.value, run.rest.length]).toEqual(["stopped", 150]);
  await run.run();
  expect([run.phase.value, sent.length, new Set(sent).size]).toEqual(["done", 250, 250]);
});

it("looks again where no answer came, and never sends those again", async () => {
  const sent: string[] = [];
  let fails = true;
  const run = new BulkRun("cancel", targets(150), null, { look, isUnknown, send: async (_, batch) => {
    sent.push(...batch.map((one) => one.id));
    if (fails) throw new Lost("no answer");
    return all(batch, "recorded");
  } });
  await run.run();
  expect([run.phase.value, run.trouble.value]).toEqual(["stopped", "no answer"]);
  fails = false;
  await run.run();
  expect([run.phase.value, sent.length]).toEqual(["done", 150]);
  expect(tally(run.results.value.values(), (one) => one.outcome)).toEqual([["unknown", 100], ["recorded", 50]]);
});

it("keeps what was refused as a whole for another try", async () => {
  const run = new BulkRun("cancel", targets(3), null, { look, isUnknown, send: async () => {
    throw new Error("it needs the role operator");
  } });
  await run.run();
  expect([run.phase.value, run.rest.length, run.trouble.value]).toEqual(["stopped", 3, "it needs the role operator"]);
});

it("shows samples from the first to the last", () => {
  expect(samples([1, 2, 3], 5)).toEqual([1, 2, 3]);
  expect(samples(Array.from({ length: 101 }, (_, index) => index), 5)).toEqual([0, 25, 50, 75, 100]);
});
