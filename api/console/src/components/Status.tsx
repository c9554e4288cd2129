// Each state has its own shape, a word and the colour of its family; none of them stands alone for it.
import type { JSX } from "preact";
import type { Row } from "../lib/api";
import { FAMILY, type Family, type State, WORD, stateOf } from "../lib/status";

const RING = <circle cx="8" cy="8" r="6.2" />;

const SHAPES: Record<State, JSX.Element> = {
  created: RING,
  canceled: (
    <>
      {RING}
      <path d="M3.7 12.3 12.3 3.7" />
    </>
  ),
  dispatched: (
    <>
      {RING}
      <path class="solid" d="M8 8V1.8A6.2 6.2 0 0 1 14.2 8z" />
    </>
  ),
  queued: (
    <>
      {RING}
      <path class="solid" d="M8 1.8a6.2 6.2 0 0 1 0 12.4z" />
    </>
  ),
  running: (
    <>
      <circle class="solid" cx="8" cy="8" r="3.4" />
      <path class="turning" d="M8 1.5A6.5 6.5 0 0 1 14.5 8M8 14.5A6.5 6.5 0 0 1 1.5 8" />
    </>
  ),
  // a pair of lock gates, closed
  waiting: <path d="M2.5 1.8v12.4M13.5 1.8v12.4M2.5 3.2 7 8l-4.5 4.8M13.5 3.2 9 8l4.5 4.8" />,
  asking: (
    <>
      <path d="M2.2 3.2h11.6v8.2H8.4L5.2 14v-2.6h-3z" />
      <path d="M6.6 5.9c.2-1.4 2.9-1.4 2.9.1 0 1-1.4.9-1.4 2M8.1 9.4v.2" />
    </>
  ),
  retrying: <path d="M13.6 8A5.6 5.6 0 1 1 11.4 3.5M11.6.9v2.9H8.7" />,
  succeeded: <path class="thick" d="m2.6 8.6 3.5 3.6 7.3-8.4" />,
  failed: (
    <>
      <circle class="solid" cx="8" cy="8" r="7" />
      <path class="cut" d="m5.4 5.4 5.2 5.2m0-5.2-5.2 5.2" />
    </>
  ),
  "submit-failed": (
    <>
      <path d="M8 1.8 14.8 14H1.2z" />
      <path d="M8 6v4M8 11.9v.2" />
    </>
  ),
};

/** The shape of a state, for where its word stands beside it; `kind`: of another family than the state's. */
export function Glyph({ state, kind = FAMILY[state] }: { state: State; kind?: Family }) {
  return (
    <svg class={`glyph ${kind}`} data-state={state} viewBox="0 0 16 16" aria-hidden="true">
      {SHAPES[state]}
    </svg>
  );
}

export function StateWord({ state }: { state: State }) {
  return (
    <span class={`status ${FAMILY[state]}`}>
      <Glyph state={state} />
      <span>{WORD[state]}</span>
    </span>
  );
}

export function TaskStatus({ task }: { task: Row }) {
  return <StateWord state={stateOf(task)} />;
}
