// A task's attempts on one axis of time: what each did from when to when, with idle time between them folded.
import type { Schemas } from "./api";

export type Attempt = Schemas["AttemptRead"];
export type Step = "waited" | "held" | "queued" | "running";
export const STEPS: readonly Step[] = ["waited", "held", "queued", "running"];

export interface Segment {
  step: Step;
  from: number;
  /** Null while it goes on. */
  to: number | null;
}

/** What an attempt has been doing, in order. Without a workspace there is no lock to hold: it waits for a runner only. */
export function segments(attempt: Attempt): Segment[] {
  const { granted, refused, queued, started, ended, released } = attempt;
  const found: Segment[] = [];
  const add = (step: Step, from: Point, ...ends: readonly Point[]) => {
    if (from == null) return;
    const end = ends.find((one) => one != null);
    found.push({ step, from: time(from), to: end == null ? null : time(end) });
  };
  add("waited", attempt.claimed, granted, refused, queued, started, ended);
  add("held", granted, queued, started, ended);
  add("queued", queued, started, ended);
  add("running", started, ended);
  if (granted != null && ended != null && (released == null || released.seq > ended.seq)) add("held", ended, released);
  return found;
}

type Point = Schemas["EventAt"] | null | undefined;

function time(point: Schemas["EventAt"]): number {
  return Date.parse(point.at);
}

/** How long an attempt did it, in milliseconds; null if it never did. */
export function spent(found: readonly Segment[], step: Step, now: number): { ms: number; goesOn: boolean } | null {
  const mine = found.filter((one) => one.step === step);
  if (mine.length === 0) return null;
  const ms = mine.reduce((sum, one) => sum + Math.max(0, (one.to ?? now) - one.from), 0);
  return { ms, goesOn: mine.some((one) => one.to === null) };
}

/** Attempts as they were after the event `seq`, or at a time: later steps are taken away. */
export function asOf(attempts: readonly Attempt[], then: string): Attempt[] {
  const known = (point: Schemas["EventAt"]) => (/^\d+$/.test(then) ? point.seq <= Number(then) : time(point) <= Date.parse(then));
  return attempts
    .filter((one) => known(one.claimed))
    .map((one) => {
      const kept = Object.entries(one).filter(([, value]) => !isPoint(value) || known(value));
      const then = { ...Object.fromEntries(kept) } as unknown as Attempt;
      if (then.ended != null) return then;
      const status = then.started != null ? "running" : then.queued != null ? "queued" : "dispatched";
      const token = then.granted == null ? null : one.token ?? null;
      const taken = then.queued != null || then.started != null;
      const runner_id = taken ? (one.runner_id ?? null) : null;
      const started_at = then.started == null ? null : (one.started_at ?? null);
      return { ...then, status, token, runner_id, started_at, finished_at: null, exit_code: null, reason: null, message: null };
    });
}

function isPoint(value: unknown): value is Schemas["EventAt"] {
  return typeof value === "object" && value !== null && "seq" in value;
}

/** A stretch of the axis; a folded one stands for time in which nothing was done. */
export interface Stretch {
  from: number;
  to: number;
  x: number;
  width: number;
  folded: boolean;
}

export interface Fold {
  /** Width of a folded stretch. */
  width: number;
  /** Gaps up to this part of the busy time stay as they are. */
  part: number;
}

export const FOLD: Fold = { width: 56, part: 0.15 };

/** The axis over `spans`, from 0 to `width`. */
export function axis(spans: readonly (readonly [number, number])[], width: number, fold: Fold = FOLD): Stretch[] {
  const busy = merged(spans);
  const total = Math.max(1, busy.reduce((sum, [from, to]) => sum + to - from, 0));
  const pieces: { from: number; to: number; folded: boolean }[] = [];
  for (const [from, to] of busy) {
    const last = pieces.at(-1);
    if (last === undefined) pieces.push({ from, to, folded: false });
    else if (from - last.to <= total * fold.part) last.to = to;
    else pieces.push({ from: last.to, to: from, folded: true }, { from, to, folded: false });
  }
  const folds = pieces.filter((one) => one.folded).length;
  const foldWidth = folds === 0 ? 0 : Math.min(fold.width, (width * 0.5) / folds);
  const open = pieces.reduce((sum, one) => sum + (one.folded ? 0 : one.to - one.from), 0) || 1;
  let x = 0;
  return pieces.map(({ from, to, folded }) => {
    const size = folded ? foldWidth : ((to - from) / open) * (width - folds * foldWidth);
    const found = { from, to, x, width: size, folded };
    x += size;
    return found;
  });
}

function merged(spans: readonly (readonly [number, number])[]): [number, number][] {
  const found: [number, number][] = [];
  for (const [from, to] of spans.toSorted((one, other) => one[0] - other[0])) {
    const last = found.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else found.push([from, Math.max(from, to)]);
  }
  return found;
}

/** Where a moment lies on the axis. */
export function place(stretches: readonly Stretch[], moment: number): number {
  const here = stretches.find((one) => moment <= one.to) ?? stretches.at(-1);
  if (here === undefined) return 0;
  const length = Math.max(1, here.to - here.from);
  return here.x + Math.min(1, Math.max(0, (moment - here.from) / length)) * here.width;
}

const NICE_SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];

/** Round moments with at least `apart` between each two of them. */
export function ticks(stretches: readonly Stretch[], apart: number): number[] {
  const found: number[] = [];
  for (const { from, to, width, folded } of stretches) {
    if (folded || to <= from || width < apart / 2) continue;
    const most = Math.max(1, width / apart);
    const step = 1000 * (NICE_SECONDS.find((one) => (to - from) / (one * 1000) <= most) ?? 2_592_000);
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  }
  return found;
}
