// What a runner's heartbeats tell, in words.
import type { Schemas } from "./api";
import { duration } from "./format";

export type Runner = Schemas["RunnerRead"];
type Times = Pick<Runner, "state" | "lease_until" | "lost_at" | "last_heartbeat">;

/** How much of the lease is left, from 1 right after a heartbeat to 0. */
export function leaseLeft(runner: Times, now: number): number {
  const [from, until] = [Date.parse(runner.last_heartbeat), Date.parse(runner.lease_until)];
  return until <= from ? 0 : Math.min(1, Math.max(0, (until - now) / (until - from)));
}

/** What happens next without another heartbeat. */
export function countdown(runner: Times, now: number): string {
  const lost = Date.parse(runner.lost_at) - now;
  if (runner.state === "lost") return `for ${duration(-lost)}`;
  if (runner.state === "suspected") return lost > 0 ? `lost in ${duration(lost)}` : "lost at any moment";
  return `lease ${duration(Date.parse(runner.lease_until) - now)}`;
}

const ORDER: Record<Runner["state"], number> = { lost: 0, suspected: 1, alive: 2 };

/** Those that need a person first: kept locks, ids used twice, then lost, suspected and alive ones, by id. */
export function needyFirst(runners: readonly Runner[]): Runner[] {
  const rank = (one: Runner) => (one.awaiting_operator.length > 0 || one.conflict.length > 0 ? -1 : ORDER[one.state]);
  return [...runners].sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1));
}
