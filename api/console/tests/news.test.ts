// The reducer of the stream of changes: every sequence once, whatever is sent twice, cut off or out of room.
import { describe, expect, it } from "vitest";
import { type Message, type News, anything, merged, moved, received } from "../src/lib/feed/news.ts";

const message = (tasks: [string, number][], workspaces: string[] = [], reset = false): Message => ({
  tasks: tasks.map(([id, seq]) => ({ id, seq })),
  workspaces,
  reset,
});

/** What a page hears of messages that came over several connections. */
function heard(connections: (readonly [number, Message])[][], from: number | null = null): News[] {
  let known = from;
  const found: News[] = [];
  for (const [id, data] of connections.flat()) {
    const news = received(known, id, data);
    if (news !== null || known === null) known = id;
    if (news !== null) found.push(news);
  }
  return found;
}

describe("received", () => {
  it("takes the position from the first message, and tells nothing", () => {
    expect(received(null, 41, message([]))).toBeNull();
  });

  it("names tasks and workspaces up to the message's sequence", () => {
    expect(received(41, 44, message([["a", 42], ["b", 44]], ["shop"]))).toEqual({
      seq: 44,
      all: false,
      reset: false,
      tasks: new Map([["a", 42], ["b", 44]]),
      workspaces: new Set(["shop"]),
    });
  });

  it("tells every sequence once over connections that overlap", () => {
    const first = [[40, message([])], [42, message([["a", 41], ["b", 42]])], [43, message([["a", 43]])]] as const;
    const resumed = [[43, message([])], [43, message([["a", 43]])], [45, message([["b", 42], ["a", 43], ["c", 44], ["b", 45]])]] as const;
    const all = heard([[...first], [...resumed]]);
    const seqs = all.flatMap((news) => [...news.tasks.values()]);
    expect(seqs.toSorted()).toEqual([41, 42, 43, 44, 45]);
    expect(all.map((news) => news.seq)).toEqual([42, 43, 45]);
  });

  it("lets anything have changed after a reset, also on a log that is shorter", () => {
    expect(received(900, 12, message([], [], true))).toEqual(anything(12, true));
    expect(heard([[[12, message([], [], true)], [13, message([["a", 13]])]]], 900).map((news) => news.seq)).toEqual([12, 13]);
  });
});

describe("moved", () => {
  it("says that anything may have changed where only the position is known", () => {
    expect(moved(41, 44)).toEqual(anything(44));
    expect(moved(41, 41)).toBeNull();
    expect(moved(null, 44)).toBeNull();
  });

  it("takes a position that lies before the known one for another log's", () => {
    expect(moved(41, 3)).toEqual(anything(3, true));
  });
});

describe("merged", () => {
  it("keeps the newest sequence of each task and all workspaces", () => {
    const one = received(0, 2, message([["a", 1], ["b", 2]], ["shop"]));
    const two = received(2, 4, message([["a", 3], ["c", 4]], ["web"]));
    expect(merged(one as News, two as News)).toEqual({
      seq: 4,
      all: false,
      reset: false,
      tasks: new Map([["a", 3], ["b", 2], ["c", 4]]),
      workspaces: new Set(["shop", "web"]),
    });
  });

  it("loses neither a reset nor what came after it", () => {
    const named = received(4, 6, message([["a", 6]])) as News;
    expect(merged(anything(4, true), named)).toMatchObject({ seq: 6, all: true, reset: true, tasks: new Map([["a", 6]]) });
    expect(merged(named, anything(2, true))).toEqual(anything(2, true));
    expect(merged(anything(4, true), anything(5))).toEqual(anything(5, true));
  });
});
