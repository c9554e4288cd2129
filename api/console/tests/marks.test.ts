import { expect, it } from "vitest";
import { nearest, seqsIn } from "../src/lib/axis";
import { counted, kindOf } from "../src/lib/marks";


it("finds the steps of attempts and claims, and the nearest one in each direction", () => {
  const seqs = seqsIn([
    { attempt: 1, claimed: { seq: 3, at: "" }, granted: { seq: 9, at: "" }, released: null },
    { attempt: 2, claimed: { seq: 5, at: "" }, labels: { seq_: 1 } },
  ]);
  expect(seqs).toEqual([3, 5, 9]);
  expect([nearest(seqs, 5, true), nearest(seqs, 5, false), nearest(seqs, 4, true)]).toEqual([9, 3, 5]);
  expect([nearest(seqs, 9, true), nearest(seqs, 3, false), nearest([], 1, true)]).toEqual([null, null, null]);
});

it("tells marks apart, and counts those that are there", () => {
  const kinds = [
    kindOf({ event: "failed", data: { reason: "exit" } } as Parameters<typeof kindOf>[0]),
    kindOf({ event: "failed", data: { reason: "runner-lost" } } as Parameters<typeof kindOf>[0]),
    kindOf({ event: "submit-failed", data: { reason: "no-runner" } } as Parameters<typeof kindOf>[0]),
    kindOf({ event: "refused", data: {} } as Parameters<typeof kindOf>[0]),
    kindOf({ event: "lock-release-requested", data: {} } as Parameters<typeof kindOf>[0]),
  ];
  expect(kinds).toEqual(["failed", "lost", "failed", "refused", "freed"]);
  expect(counted(kinds.map((kind, seq) => ({ seq, kind })))).toEqual([
    { kind: "failed", number: 2 },
    { kind: "lost", number: 1 },
    { kind: "refused", number: 1 },
    { kind: "freed", number: 1 },
  ]);
  expect(counted([])).toEqual([]);
});
