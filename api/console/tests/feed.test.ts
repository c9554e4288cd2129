// What a tab makes of what the shared worker tells: batches for its pages, and one login for all tabs.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { News } from "../src/lib/feed/news.ts";
import type { Told } from "../src/lib/feed/source.ts";

const tab = vi.hoisted(() => {
  const sent: string[] = [];
  const urls: string[] = [];
  const heard: Record<string, (event: object) => void> = {};
  const port = { onmessage: (_: { data: unknown }) => {}, postMessage: (words: string) => sent.push(words) };
  class SharedWorker {
    readonly port = port;
    onerror = () => {};
    constructor(url: string) {
      urls.push(url);
    }
  }
  const addEventListener = (name: string, told: (event: object) => void) => {
    heard[name] = told;
  };
  const script = { src: "http://towpath.example/behind/console/a/0123456789abcdef/console.js" };
  const querySelector = (what: string) => (what === "script[src]" ? script : null);
  Object.assign(globalThis, { SharedWorker, addEventListener, document: { querySelector, hidden: false }, location: { pathname: "/console/", search: "" } });
  return { sent, urls, heard, port };
});
const { lastSeq, loginNeeded } = await import("../src/lib/api.ts");
const { follow, link, startFeed } = await import("../src/lib/feed/feed.ts");
const { anything } = await import("../src/lib/feed/news.ts");
const { logins } = await import("../src/lib/session.ts");

let news: News[];
let end: () => void;
const tell = (told: Told) => tab.port.onmessage({ data: told });
const named = (seq: number, ...tasks: string[]): Told => ({
  news: { seq, all: false, reset: false, tasks: new Map(tasks.map((id) => [id, seq])), workspaces: new Set() },
});

startFeed();

beforeEach(async () => {
  vi.useFakeTimers();
  [news, lastSeq.value, tab.sent.length] = [[], 0, 0];
  end = follow((one) => news.push(one));
  tell({ link: { state: "away", againAt: 0 }, seq: null });
});

afterEach(() => {
  vi.runAllTimers();
  end();
  vi.useRealTimers();
});

it("takes the worker beside its own script", () => {
  expect(tab.urls).toEqual(["http://towpath.example/behind/console/a/0123456789abcdef/feed-worker.js"]);
});

it("says where the stream stands once it is open, so that older answers are loaded again", () => {
  tell({ link: { state: "open" }, seq: 41 });
  expect(news).toEqual([anything(41)]);
  expect([link.value.state, lastSeq.value]).toEqual(["open", 41]);
});

it("tells pages of a burst four times a second, and of all of it", async () => {
  tell({ link: { state: "open" }, seq: 40 });
  for (let seq = 41; seq <= 140; seq += 1) {
    tell(named(seq, `task ${seq % 7}`, `task ${seq}`));
    await vi.advanceTimersByTimeAsync(10);
  }
  await vi.advanceTimersByTimeAsync(250);
  expect(news.length).toBeLessThanOrEqual(6);
  expect(new Set(news.flatMap((one) => [...one.tasks.keys()])).size).toBe(107);
  expect([news.at(-1)?.seq, lastSeq.value]).toEqual([140, 140]);
});

it("goes back with the position when the log is another one", () => {
  tell({ link: { state: "open" }, seq: 900 });
  vi.runAllTimers();
  tell({ news: anything(12, true) });
  expect(lastSeq.value).toBe(12);
});

it("asks for a login, and forgets that when another tab has logged in", () => {
  const before = logins.value;
  tell({ link: { state: "login" }, seq: 41 });
  expect(loginNeeded.value).toBe(true);
  tell({ link: { state: "open" }, seq: 41 });
  expect([loginNeeded.value, logins.value]).toEqual([false, before + 1]);
});

it("connects anew after a login of its own, and when the network is back", () => {
  logins.value += 1;
  tab.heard["online"]?.({});
  expect(tab.sent).toEqual(["again", "again"]);
});

it("leaves the worker with the page, and joins again when the page comes back from the browser's cache", () => {
  tab.heard["pagehide"]?.({});
  tab.heard["pageshow"]?.({ persisted: false });
  tab.heard["pageshow"]?.({ persisted: true });
  expect(tab.sent).toEqual(["leave", "join"]);
});
