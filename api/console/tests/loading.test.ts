// When a page loads again: after news that its answer does not show, once a second, and not while nobody sees it.
import { afterEach, beforeEach, expect, it, vi } from "vitest";

const tab = vi.hoisted(() => {
  const heard: Record<string, () => void> = {};
  const page = {
    hidden: false,
    querySelector: () => null,
    addEventListener: (name: string, told: () => void) => {
      heard[name] = told;
    },
    removeEventListener: () => {},
  };
  const { addEventListener, removeEventListener } = page;
  Object.assign(globalThis, { document: page, location: { pathname: "/console/", search: "" }, addEventListener, removeEventListener });
  return { page, show: () => heard["visibilitychange"]?.() };
});
const { Problem, get } = await import("../src/lib/api.ts");
const { anything } = await import("../src/lib/feed/news.ts");
const { Loading } = await import("../src/lib/loading.ts");

let asOf: number;
let asked: number[];
let failing: Error | null;
let loading: InstanceType<typeof Loading<unknown>>;

const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);

beforeEach(async () => {
  vi.useFakeTimers({ now: 0 });
  vi.stubGlobal("fetch", async () => new Response("{}", { status: 200, headers: { "Towpath-As-Of": String(asOf) } }));
  tab.page.hidden = false;
  [asOf, asked, failing] = [40, [], null];
  const load = async (signal: AbortSignal) => {
    asked.push(Date.now() / 1000);
    if (failing !== null) throw failing;
    return get("/overview", { signal });
  };
  loading = new Loading<unknown>(load, { begun: () => {}, done: () => {}, failed: () => {} }, 60);
  loading.start();
  await pass(0);
});

afterEach(() => {
  loading.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("loads only what its answer does not show yet", async () => {
  loading.outdated(anything(40));
  await pass(30);
  expect(asked).toEqual([0]);
  asOf = 41;
  loading.outdated(anything(41));
  await pass(0);
  expect(asked).toEqual([0, 30]);
});

it("loads once a second, however many news there are", async () => {
  for (let seq = 41; seq < 61; seq += 1) {
    asOf = seq;
    loading.outdated(anything(seq));
    await pass(0.25);
  }
  expect(asked).toEqual([0, 1, 2, 3, 4, 5]);
});

it("asks again while a process answers that lags behind the news", async () => {
  loading.outdated(anything(41));
  await pass(2.5);
  asOf = 41;
  await pass(10);
  expect(asked).toEqual([0, 1, 2, 3]);
});

it("loads after a reset, whatever the position of what is shown", async () => {
  asOf = 3;
  loading.outdated(anything(3, true));
  await pass(1);
  expect(asked).toEqual([0, 1]);
});

it("waits while the tab is hidden, and catches up once it is seen", async () => {
  tab.page.hidden = true;
  loading.outdated(anything(50));
  await pass(20);
  expect(asked).toEqual([0]);
  [tab.page.hidden, asOf] = [false, 50];
  tab.show();
  await pass(0);
  expect(asked).toEqual([0, 20]);
});

it("comes back with the news after an outage, rather than at the end of its wait", async () => {
  failing = new Problem(503, {}, 20);
  loading.outdated(anything(41));
  await pass(5);
  expect(asked).toEqual([0, 1]);
  [failing, asOf] = [null, 41];
  loading.outdated(anything(41));
  await pass(0);
  expect(asked).toEqual([0, 1, 5]);
});

it("asks for nothing once it is stopped, also in the middle of a load that is behind the news", async () => {
  vi.stubGlobal("fetch", (_: string, { signal }: RequestInit) => new Promise((_, fail) => signal?.addEventListener("abort", () => fail(signal.reason))));
  loading.outdated(anything(41));
  await pass(1);
  loading.outdated(anything(42));
  loading.stop();
  await pass(300);
  expect(asked).toEqual([0, 1]);
});

it("does not ask again and again for what is refused", async () => {
  failing = new Problem(404, {}, null);
  loading.outdated(anything(41));
  await pass(30);
  expect(asked).toEqual([0, 1]);
});

it("looks after a minute all the same", async () => {
  await pass(60);
  expect(asked).toEqual([0, 60]);
});
