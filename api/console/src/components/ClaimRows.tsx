// One claim of a workspace: who holds or waits, and the chain that it belongs to when it is pointed at.
import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { apiNow } from "../lib/clock";
import type { ClaimChange } from "../lib/differences";
import { duration } from "../lib/format";
import { leaseSeconds } from "../lib/lease";
import { type Holder, type Side, type Waiter, keyOf } from "../lib/locks";
import type { Titles } from "../lib/titles";
import { TaskLink } from "./Link";
import { NowTag } from "./SinceThen";
import { ReleaseButton } from "./Release";
import { LeaseRing, RunnerLink, RunnerWord } from "./Runner";
import { Glyph } from "./Status";
import { Span } from "./Time";

/** What all claims of one card share. */
export interface Card {
  workspace: string;
  titles: Titles;
  /** Whether the card is alone on its page. */
  whole: boolean;
  /** The claim that is pointed at or focused. */
  pointed: Signal<string | null>;
  /** The sides of its chain. */
  sides: Signal<ReadonlyMap<string, Side>>;
  /** What has become of the claims, by their keys, where the past is compared with now. */
  changes: ReadonlyMap<string, ClaimChange>;
}

interface ClaimProps {
  claim: Holder | Waiter;
  card: Card;
  kind: string;
  children: ComponentChildren;
}

/** A list item that marks its chain while it is hovered or holds the focus. */
export function ClaimItem({ claim, card, kind, children }: ClaimProps) {
  const key = keyOf(claim);
  const point = () => {
    card.pointed.value = key;
  };
  const leave = () => {
    if (card.pointed.value === key) card.pointed.value = null;
  };
  const side = card.pointed.value === null ? undefined : (card.sides.value.get(key) ?? "other");
  return (
    <li class={`claim ${kind}`} data-side={side} onPointerEnter={point} onPointerLeave={leave} onFocusIn={point} onFocusOut={leave}>
      {children}
    </li>
  );
}

/** `first`: whether this is the first of its paths; the others only name it. */
export function HolderRow({ holder, first, card }: { holder: Holder; first: boolean; card: Card }) {
  const title = card.titles.get(holder.task_id) ?? "";
  return (
    <ClaimItem claim={holder} card={card} kind="holds">
      <ModeGlyph mode={holder.mode} />
      <span class="words">
        <span class="name">
          <TaskLink id={holder.task_id} title={title} />
        </span>
        <span class="number">
          token <b>{holder.token}</b>
        </span>
        <NowTag change={card.changes.get(keyOf(holder))} />
        {first ? (
          <>
            <span class="runner">{holder.runner_id === null ? <span class="dim">no runner yet</span> : <RunnerLink id={holder.runner_id} />}</span>
            <Lease holder={holder} />
            <span class="dim">
              held <Span from={holder.since} to={null} />
            </span>
          </>
        ) : (
          <span class="dim">as above</span>
        )}
      </span>
      {first && <ReleaseButton holder={holder} workspace={card.workspace} title={title} />}
    </ClaimItem>
  );
}

export function ModeGlyph({ mode }: { mode: Holder["mode"] }) {
  return (
    <span class="mode">
      <svg class="glyph moving" viewBox="0 0 16 16" aria-hidden="true">
        {mode === "shared" ? <path d="M2.5 2.5h7v7h-7zM6.5 6.5h7v7h-7z" /> : <path class="solid" d="M2.5 2.5h11v11h-11z" />}
      </svg>
      {mode === "shared" ? <span>shared</span> : <span class="off-screen">holds alone</span>}
    </span>
  );
}

/** How long the lease of the runner lasts without another heartbeat. */
export function Lease({ holder }: { holder: Holder }) {
  const { runner_state: state, lease_until: until } = holder;
  if (state === "lost" || state === "suspected") return <RunnerWord state={state} />;
  if (until == null) return null;
  const left = Date.parse(until) - apiNow.value;
  return (
    <span class="countdown dim number">
      {leaseSeconds.value > 0 && <LeaseRing left={Math.min(1, Math.max(0, left / 1000 / leaseSeconds.value))} />}
      lease {duration(left)}
    </span>
  );
}

/** A waiter at one of its paths. */
export function WaiterAtPath({ waiter, card }: { waiter: Waiter; card: Card }) {
  return (
    <ClaimItem claim={waiter} card={card} kind="waits">
      <Glyph state="waiting" />
      <span class="words">
        <span class="off-screen">waits, place</span>
        <span class="number">{waiter.position}</span>
        <span class="name">
          <TaskLink id={waiter.task_id} title={card.titles.get(waiter.task_id) ?? ""} />
        </span>
        {waiter.mode === "shared" && <span class="dim">shared</span>}
        <NowTag change={card.changes.get(keyOf(waiter))} />
      </span>
    </ClaimItem>
  );
}
