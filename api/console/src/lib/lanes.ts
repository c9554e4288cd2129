// The history of locks as lanes: one a path, in it a bar for each claim that named the path, beside each other in time.
import type { Schemas } from "./api";

export type Claim = Schemas["ClaimRead"];

export interface Bar {
  claim: Claim;
  /** Places on the axis, from 0 to 1: when it was claimed, granted (null: never) and over. */
  from: number;
  held: number | null;
  to: number;
  /** Still waits or holds. */
  open: boolean;
}

export interface Lane {
  path: string;
  /** Bars that do not overlap stand in one row. */
  rows: readonly (readonly Bar[])[];
}

export interface Axis {
  /** Milliseconds since 1970. */
  from: number;
  to: number;
}

export type Ending = "released" | "by hand" | "refused" | "left" | "open";

/** From the first claim to `until`. */
export function axisOf(claims: readonly Claim[], until: number): Axis {
  const from = claims.reduce((first, one) => Math.min(first, Date.parse(one.claimed.at)), until);
  return { from, to: Math.max(until, from + 1) };
}

/** Lanes by path, the whole workspace first. */
export function lanes(claims: readonly Claim[], axis: Axis): Lane[] {
  const byPath = new Map<string, Bar[]>();
  for (const claim of [...claims].sort((a, b) => a.claimed.seq - b.claimed.seq))
    for (const path of claim.paths.length === 0 ? [""] : claim.paths) byPath.set(path, [...(byPath.get(path) ?? []), barOf(claim, axis)]);
  return [...byPath].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, bars]) => ({ path, rows: rowsOf(bars) }));
}

function barOf(claim: Claim, axis: Axis): Bar {
  const place = (at: string) => Math.min(1, Math.max(0, (Date.parse(at) - axis.from) / (axis.to - axis.from)));
  const over = claim.released ?? claim.refused ?? claim.left;
  return {
    claim,
    from: place(claim.claimed.at),
    held: claim.granted === null ? null : place(claim.granted.at),
    to: over === null ? 1 : place(over.at),
    open: over === null,
  };
}

function rowsOf(bars: readonly Bar[]): Bar[][] {
  const rows: Bar[][] = [];
  for (const bar of bars) {
    const row = rows.find((one) => (one.at(-1)?.to ?? 0) <= bar.from);
    if (row === undefined) rows.push([bar]);
    else row.push(bar);
  }
  return rows;
}

export function endingOf(claim: Claim): Ending {
  if (claim.refused !== null) return "refused";
  if (claim.left !== null && claim.granted === null) return "left";
  if (claim.released === null) return "open";
  return claim.cause === "operator" ? "by hand" : "released";
}

/** How it ended, in words. */
export function endWords(claim: Claim): string {
  const ending = endingOf(claim);
  const cause = (claim.cause ?? "").replaceAll("-", " ");
  if (ending === "open") return claim.granted === null ? "waits" : "holds";
  if (ending === "refused") return `refused${cause === "" ? "" : `: ${cause}`}`;
  if (ending === "left") return `gave up waiting${cause === "" ? "" : `: ${cause}`}`;
  if (ending === "by hand") return "released by hand";
  return cause === "" ? "released" : `released: ${cause}`;
}
