import { expect, it } from "vitest";
import { parts } from "../src/lib/sentence";

const OWN = "01990000-0000-7000-8000-00000000000a";
const OTHER = "01990000-0000-7000-8000-00000000000b";

it("links the tasks in the way, shortens times, and leaves out what the page shows anyway", () => {
  const sentence = `test (${OWN}) waits for src in shop since 2026-11-30 01:40:14Z: build (${OTHER}) on host-7 holds src.`;
  expect(parts(sentence, OWN, [{ task_id: OTHER, title: "build" }])).toEqual([
    { kind: "text", text: "test waits for src in shop since " },
    { kind: "time", at: "2026-11-30T01:40:14Z" },
    { kind: "text", text: ": " },
    { kind: "task", id: OTHER, title: "build" },
    { kind: "text", text: " on host-7 holds src." },
  ]);
});

it("links an id that stands without its title", () => {
  expect(parts(`x waits: ${OTHER} holds it.`, OWN, [{ task_id: OTHER, title: "build" }])[1]).toEqual({
    kind: "task",
    id: OTHER,
    title: "build",
  });
});

it("leaves a sentence that names nothing as it is", () => {
  expect(parts("x runs.", OWN, [])).toEqual([{ kind: "text", text: "x runs." }]);
  expect(parts("", OWN, [])).toEqual([]);
});

it("leaves out how a question is answered on the command line", () => {
  expect(parts(`x asks: Deploy? (yes / no); answer with \`towpath answer ${OWN}\`.`, OWN, [])).toEqual([
    { kind: "text", text: "x asks: Deploy? (yes / no)." },
  ]);
});

it("leaves out what the page shows of the output, and does not call a runner so twice", () => {
  const sentence = "x failed (exited with code 7; output: last 8 KiB of 9 KiB): said by runner:runner-f53e, event 4.";
  expect(parts(sentence, OWN, [])).toEqual([{ kind: "text", text: "x failed (exited with code 7): said by runner-f53e, event 4." }]);
  expect(parts("x failed: said by runner:host-1, event 4.", OWN, [])).toEqual([{ kind: "text", text: "x failed: said by runner:host-1, event 4." }]);
});
