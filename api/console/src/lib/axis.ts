// The axis of the time machine: linear in sequences, with the times of some of them. Pure.
import { dayTime } from "./format";

/** Sequences, both included. */
export interface Range {
  from: number;
  to: number;
}

export interface Tick {
  seq: number;
  at: string;
}

/** A closer look than at so many events shows nothing more. */
export const CLOSEST = 20;

/** Where a sequence lies in the range, from 0 to 1. */
export function share(seq: number, { from, to }: Range): number {
  return to <= from ? 1 : clamped((seq - from) / (to - from), 0, 1);
}

/** The sequence at a place of the range. */
export function seqAt(place: number, { from, to }: Range): number {
  return Math.round(from + clamped(place, 0, 1) * (to - from));
}

/** `range` made `factor` times as long, around a sequence that keeps its place. */
export function zoomed(range: Range, whole: Range, around: number, factor: number): Range {
  const length = clamped(Math.round((range.to - range.from) * factor), CLOSEST, whole.to - whole.from);
  const from = Math.round(around - share(around, range) * length);
  return inside({ from, to: from + length }, whole);
}

/** `range` moved as little as needed to hold `seq`, which then is not at its very edge. */
export function holding(range: Range, whole: Range, seq: number): Range {
  if (seq >= range.from && seq <= range.to) return range;
  const length = range.to - range.from;
  const from = seq < range.from ? seq - Math.round(length / 4) : seq - Math.round((length * 3) / 4);
  return inside({ from, to: from + length }, whole);
}

/** `range` around `seq`. */
export function centred(range: Range, whole: Range, seq: number): Range {
  const length = range.to - range.from;
  const from = seq - Math.round(length / 2);
  return inside({ from, to: from + length }, whole);
}

function inside({ from, to }: Range, whole: Range): Range {
  if (to - from >= whole.to - whole.from) return whole;
  const by = Math.max(0, whole.from - from) - Math.max(0, to - whole.to);
  return { from: from + by, to: to + by };
}

export interface TimeOf {
  at: Date;
  /** Whether it is the event's own time, and not one between its neighbours'. */
  exact: boolean;
}

/** The time of a sequence, by the ticks around it, which are in their order; null outside of them. */
export function timeAt(seq: number, ticks: readonly Tick[]): TimeOf | null {
  const after = ticks.findIndex((tick) => tick.seq >= seq);
  const [next, last] = [ticks[after], ticks[after - 1]];
  if (next === undefined) return null;
  if (next.seq === seq) return { at: new Date(next.at), exact: true };
  if (last === undefined) return null;
  const [from, to] = [Date.parse(last.at), Date.parse(next.at)];
  return { at: new Date(from + ((seq - last.seq) / (next.seq - last.seq)) * (to - from)), exact: false };
}

/** All ticks that are known, each once, in the order of their sequences. */
export function merged(...lists: readonly (readonly Tick[])[]): Tick[] {
  const known = new Map(lists.flat().map((tick) => [tick.seq, tick]));
  return [...known.values()].sort((a, b) => a.seq - b.seq);
}

export interface Label {
  seq: number;
  text: string;
}

/** At most `most` times to write beneath the axis, evenly spread; a repeated one is left out. */
export function labels(ticks: readonly Tick[], range: Range, most: number): Label[] {
  const [first, last] = [timeAt(range.from, ticks), timeAt(range.to, ticks)];
  const days = first !== null && last !== null && first.at.toISOString().slice(0, 10) !== last.at.toISOString().slice(0, 10);
  const found: Label[] = [];
  for (let number = 0; number < most; number += 1) {
    const seq = seqAt((number + 0.5) / most, range);
    const time = timeAt(seq, ticks);
    if (time === null) continue;
    const text = days ? dayTime(time.at).slice(0, -3) : time.at.toISOString().slice(11, 19);
    if (found.at(-1)?.text !== text && found.at(-1)?.seq !== seq) found.push({ seq, text });
  }
  return found;
}

/** The sequences of all steps of `items`, in their order. */
export function seqsIn(items: readonly object[]): number[] {
  const found = new Set<number>();
  for (const item of items)
    for (const step of Object.values(item)) if (typeof step === "object" && step !== null && "seq" in step) found.add(Number(step.seq));
  return [...found].sort((a, b) => a - b);
}

/** The last of `seqs` before `seq`, or the first after it; null if there is none. */
export function nearest(seqs: readonly number[], seq: number, forwards: boolean): number | null {
  return (forwards ? seqs.find((one) => one > seq) : seqs.findLast((one) => one < seq)) ?? null;
}

function clamped(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), Math.max(least, most));
}
