// Runners and their states: a shape and a word for each.
import type { JSX } from "preact";
import type { Schemas } from "../lib/api";
import { shown } from "../lib/safe_text";
import { Link } from "./Link";

export type RunnerState = Schemas["RunnerRead"]["state"];

const RING = 2 * Math.PI * 6;

const FAMILY: Record<RunnerState, string> = { alive: "good", suspected: "blocked", lost: "bad" };

const SHAPES: Record<RunnerState, JSX.Element> = {
  alive: <path d="M1.2 8.4h3.2l1.9-4.6 3.2 8.4 1.9-3.8h3.4" />,
  suspected: <path d="M1.2 8.4h3.2l1.4-2.6M9 12.4v.2M6.6 4.4c.4-3 5.4-2.6 5 .4-.3 1.9-2.6 1.9-2.6 4.6" />,
  lost: <path d="M1.2 8.4h4M10.8 8.4h4M6.2 6.6l3.6 3.6m0-3.6-3.6 3.6" />,
};

export function RunnerWord({ state }: { state: RunnerState }) {
  return (
    <span class={`status ${FAMILY[state]}`} data-runner-state={state}>
      <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">
        {SHAPES[state]}
      </svg>
      <span>{state}</span>
    </span>
  );
}

export function RunnerLink({ id }: { id: string }) {
  return (
    <Link to="/runners" params={{ runner: id }} class="mono">
      <bdi>{shown(id)}</bdi>
    </Link>
  );
}

/** How much of a lease is left, from 1 to 0; the time stands beside it in words. */
export function LeaseRing({ left }: { left: number }) {
  return (
    <svg class="glyph ring" viewBox="0 0 16 16" aria-hidden="true">
      <circle class="track" cx="8" cy="8" r="6" />
      <circle cx="8" cy="8" r="6" transform="rotate(-90 8 8)" stroke-dasharray={`${left * RING} ${RING}`} />
    </svg>
  );
}
