// The stream's life against a fake EventSource and a fake API: what is asked, when, and what is told.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Source, type Told } from "../src/lib/feed/source.ts";

class FakeStream {
  static readonly CLOSED = 2;
  static all: FakeStream[] = [];
  readyState = 0;
  closed = false;
  onmessage: (event: { lastEventId: string; data: string }) => void = () => {};
  onerror: () => void = () => {};

  constructor(readonly url: string) {
    FakeStream.all.push(this);
  }

  close(): void {
    this.closed = true;
  }

  send(id: number, tasks: [string, number][] = []): void {
    const data = { tasks: tasks.map(([task, seq]) => ({ id: task, seq, status: "created" })), workspaces: [], reset: false };
    this.onmessage({ lastEventId: String(id), data: JSON.stringify(data) });
  }

  /** `refused`: the API answered with an error; else the connection was cut. */
  fail(refused: boolean): void {
    this.readyState = refused ? FakeStream.CLOSED : 0;
    this.onerror();
  }
}

type Answer = { status: number; last?: number; retryAfter?: string } | "nothing";
let answer: Answer;
let told: Told[];
let source: Source;

const newest = () => FakeStream.all.at(-1) as FakeStream;
const links = () => told.flatMap((one) => ("link" in one ? [one.link.state] : []));
const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", FakeStream);
  vi.stubGlobal("fetch", async () => {
    if (answer === "nothing") throw new TypeError("cut");
    const { status, last, retryAfter } = answer;
    const headers = retryAfter === undefined ? {} : { "Retry-After": retryAfter };
    return new Response(JSON.stringify({ last: last === undefined ? null : { seq: last } }), { status, headers });
  });
  FakeStream.all = [];
  answer = { status: 200, last: 7 };
  told = [];
  source = new Source("/behind", (one) => told.push(one));
  source.start();
});

afterEach(() => {
  source.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("Source", () => {
  it("asks once, and tells where the stream stands", () => {
    source.start();
    expect(FakeStream.all.map((one) => one.url)).toEqual(["/behind/changes"]);
    newest().send(7);
    expect(told).toEqual([{ link: { state: "open" }, seq: 7 }]);
  });

  it("resumes behind the last sequence after a cut, and tells nothing twice", async () => {
    newest().send(7);
    newest().send(9, [["a", 8], ["b", 9]]);
    newest().fail(false);
    await pass(1);
    expect(newest().url).toBe("/behind/changes?after_seq=9");
    newest().send(9);
    newest().send(10, [["b", 9], ["a", 10]]);
    const seqs = told.flatMap((one) => ("news" in one ? [...one.news.tasks.values()] : []));
    expect(seqs).toEqual([8, 9, 10]);
    expect(links()).toEqual(["open"]);
  });

  it("tries again later and later while nothing answers, and says when", async () => {
    newest().send(7);
    answer = "nothing";
    const waits: number[] = [];
    for (const seconds of [1, 2, 4, 8, 10, 10]) {
      newest().fail(false);
      await pass(0);
      const last = told.at(-1);
      if (last !== undefined && "link" in last && last.link.state === "away") waits.push((last.link.againAt - Date.now()) / 1000);
      await pass(seconds);
    }
    expect(waits).toEqual([1, 2, 4, 8, 10, 10]);
    expect(FakeStream.all).toHaveLength(7);
    newest().send(7);
    expect(links().at(-1)).toBe("open");
  });

  it("waits as long as a busy API asks", async () => {
    answer = { status: 503, retryAfter: "4" };
    newest().fail(true);
    await pass(3.9);
    expect(FakeStream.all).toHaveLength(1);
    await pass(0.2);
    expect(FakeStream.all).toHaveLength(2);
  });

  it("looks at the position every 5 seconds where there is no room, and takes the stream once there is", async () => {
    newest().send(7);
    newest().fail(true);
    await pass(0);
    expect(links()).toEqual(["open", "polling"]);
    answer = { status: 200, last: 9 };
    await pass(5);
    newest().fail(true);
    await pass(0);
    expect(told.at(-1)).toMatchObject({ news: { seq: 9, all: true, reset: false } });
    await pass(5);
    expect(newest().url).toBe("/behind/changes?after_seq=9");
    newest().send(9);
    expect(links()).toEqual(["open", "polling", "open"]);
  });

  it("asks for a login, and connects anew only when told that there was one", async () => {
    answer = { status: 401 };
    newest().fail(true);
    await pass(60);
    expect(links()).toEqual(["login"]);
    expect(FakeStream.all).toHaveLength(1);
    source.again();
    newest().send(7);
    expect(links()).toEqual(["login", "open"]);
  });

  it("does not trust a connection over which the machine has slept", async () => {
    newest().send(7);
    await pass(20);
    expect(FakeStream.all).toHaveLength(1);
    vi.setSystemTime(Date.now() + 120_000);
    await pass(5);
    expect(FakeStream.all[0]?.closed).toBe(true);
    expect(newest().url).toBe("/behind/changes?after_seq=7");
  });

  it("stays quiet once it is stopped, also in the middle of a look", async () => {
    newest().fail(false);
    source.stop();
    await pass(60);
    expect(FakeStream.all).toHaveLength(1);
    expect(told).toEqual([]);
  });
});
