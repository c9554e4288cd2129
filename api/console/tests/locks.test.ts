import { describe, expect, it } from "vitest";
import {
  type Entry,
  type PathNode,
  behind,
  blockers,
  chain,
  firstNodes,
  firstPlaces,
  mostContended,
  pathTree,
  processWords,
  taskIds,
} from "../src/lib/locks";

const T = "2026-01-01T00:00:";
const holder = (task_id: string, paths: string[], more: object = {}) => ({
  task_id, paths, attempt: 1, runner_id: "host-7", mode: "exclusive" as const, token: 41, since: `${T}00Z`, ...more,
});
const waiter = (task_id: string, paths: string[], position: number, blocked_by: string[], second = 10) => ({
  task_id, paths, attempt: 1, mode: "exclusive" as const, position, blocked_by, since: `${T}${second}Z`,
});
const entry = (holders: unknown[], waiters: unknown[] = [], workspace = "shop") => ({ workspace, holders, waiters }) as Entry;

/** Indented names, with holders after "=", waiters after "?" and inherited holders after "^". */
function drawn(node: PathNode, depth = 0): string[] {
  const ids = (sign: string, of: { task_id: string }[]) => of.map((one) => ` ${sign}${one.task_id}`).join("");
  const line = "  ".repeat(depth) + (node.name || ".") + ids("=", node.holders) + ids("?", node.waiters) + ids("^", node.inherited);
  return [line, ...node.children.flatMap((one) => drawn(one, depth + 1))];
}

describe("the tree", () => {
  it("puts each claim at its paths and hands holders down", () => {
    const found = pathTree(
      entry([holder("build", ["src"]), holder("docs", ["docs"])], [waiter("test", ["src/api"], 1, ["build"]), waiter("all", [], 2, ["build"])]),
    );
    expect(drawn(found)).toEqual([". ?all", "  docs =docs", "  src =build", "    api ?test ^build"]);
  });

  it("joins components in which nothing is claimed, and parts them where paths part", () => {
    const found = pathTree(entry([holder("a", ["x/y/one", "x/y/two/deep"]), holder("b", ["z/1/2"])]));
    expect(drawn(found)).toEqual([".", "  x/y", "    one =a", "    two/deep =a", "  z/1/2 =b"]);
  });

  it("shows the whole workspace at its root, and hands that down, too", () => {
    const found = pathTree(entry([holder("all", [])], [waiter("one", ["a/b"], 1, ["all"])]));
    expect(drawn(found)).toEqual([". =all", "  a/b ?one ^all"]);
  });

  it("takes names of JavaScript's own for names", () => {
    expect(drawn(pathTree(entry([holder("a", ["__proto__/constructor"])])))).toEqual([".", "  __proto__/constructor =a"]);
  });

  it("knows where each claim is drawn first", () => {
    const tree = pathTree(entry([holder("a", ["z", "b/c"])], [waiter("w", ["z/1", "b"], 1, ["a"])]));
    expect([...firstPlaces(tree)]).toEqual([["w 1", "b"], ["a 1", "b/c"]]);
  });

  it("counts what it leaves out", () => {
    const tree = pathTree(entry([holder("a", ["a", "b/c", "b/d", "e"])]));
    const { tree: cut, left } = firstNodes(tree, 4);
    expect(drawn(cut)).toEqual([".", "  a =a", "  b", "    c =a"]);
    expect(left).toBe(2);
    expect(firstNodes(tree, 100).left).toBe(0);
  });
});

describe("behind", () => {
  const words = (one: Entry, index = 0, most?: number) =>
    behind(one.waiters[index]!, one, most)
      .map((part) => (part.kind === "task" ? part.id : part.text))
      .join("");

  it("names holders with what they hold in the way, then waiters", () => {
    const one = entry(
      [holder("build", ["src", "docs"])],
      [waiter("test", ["src/api"], 1, ["build"]), waiter("lint", ["src/api"], 2, ["test", "build"])],
    );
    expect(words(one)).toBe("behind build (holds src)");
    expect(words(one, 1)).toBe("behind build (holds src) and test (waits)");
  });

  it("counts more than three, and more than one path", () => {
    const five = ["a", "b", "c", "d", "e"];
    const one = entry(five.map((id) => holder(id, [id, `x/${id}`])), [waiter("all", [], 1, five)]);
    expect(words(one)).toBe("behind a (holds a and 1 more), b (holds b and 1 more), c (holds c and 1 more) and 2 more");
    expect(words(one, 0, 5)).toMatch(/, d \(.*\) and e \(holds e and 1 more\)$/);
  });

  it("says the whole workspace, and when nothing is in the way", () => {
    expect(words(entry([holder("all", [])], [waiter("one", ["a"], 1, ["all"])]))).toBe("behind all (holds the whole workspace)");
    expect(words(entry([], [waiter("one", ["a"], 1, [])]))).toBe("next: nothing is in its way");
  });

  it("does not put a task behind the attempt that waits itself", () => {
    const one = entry([holder("a", ["x"], { attempt: 1 })], [{ ...waiter("a", ["x"], 1, ["a"]), attempt: 2 }]);
    expect(blockers(one.waiters[0]!, one)).toEqual([{ taskId: "a", holds: true, paths: ["x"] }]);
  });

  it("knows paths by components, not by their letters", () => {
    const one = entry([holder("a", ["src2", "src/x"])], [waiter("w", ["src"], 1, ["a"])]);
    expect(blockers(one.waiters[0]!, one)[0]?.paths).toEqual(["src/x"]);
  });
});

describe("the chain", () => {
  const one = entry(
    [holder("build", ["src"]), holder("docs", ["docs"])],
    [
      waiter("test", ["src"], 1, ["build"]),
      waiter("lint", ["src/api"], 2, ["test"]),
      waiter("spell", ["docs"], 3, ["docs"]),
    ],
  );
  const sides = (key: string) => Object.fromEntries([...chain(one, `${key} 1`)].map(([found, side]) => [found.split(" ")[0], side]));

  it("goes both ways, over every step", () => {
    expect(sides("lint")).toEqual({ lint: "self", test: "ahead", build: "ahead" });
    expect(sides("build")).toEqual({ build: "self", test: "behind", lint: "behind" });
    expect(sides("test")).toEqual({ test: "self", build: "ahead", lint: "behind" });
  });

  it("does not take what is behind a blocker for what is behind the one shown", () => {
    const two = entry([holder("build", ["."])], [waiter("a", ["x"], 1, ["build"]), waiter("b", ["y"], 2, ["build"])]);
    expect([...chain(two, "a 1").keys()]).toEqual(["a 1", "build 1"]);
  });
});

it("puts the workspace with most waiters first, then the longest wait, then most holders, then the name", () => {
  const entries = [
    entry([holder("a", []), holder("b", [])], [], "idle-b"),
    entry([holder("a", [])], [], "idle-a"),
    entry([], [waiter("w", [], 1, [], 30)], "late"),
    entry([], [waiter("w", [], 1, [], 20)], "early"),
    entry([], [waiter("w", [], 1, [], 50), waiter("v", [], 2, [], 51)], "two"),
    entry([holder("a", [])], [], "idle-0"),
  ];
  expect(mostContended(entries).map((one) => one.workspace)).toEqual(["two", "early", "late", "idle-b", "idle-0", "idle-a"]);
});

it("names each task once, up to a limit", () => {
  const entries = [entry([holder("a", []), holder("b", [])], [waiter("a", [], 1, [])]), entry([holder("c", [])])];
  expect(taskIds(entries, 10)).toEqual(["a", "b", "c"]);
  expect(taskIds(entries, 2)).toEqual(["a", "b"]);
});

it("says whether a process may run", () => {
  const held = holder("a", []);
  expect(processWords({ status: "running", attempt: 1 }, held).mayRun).toBe(true);
  expect(processWords({ status: "queued", attempt: 1 }, held).words).toContain("may run on host-7");
  expect(processWords({ status: "dispatched", attempt: 1 }, { ...held, runner_id: null }).mayRun).toBe(false);
  expect(processWords({ status: "running", attempt: 2 }, held).mayRun).toBe(false);
});
