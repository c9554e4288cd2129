// What each attempt did, and when: a lane in the picture, and the same figures in the table beneath it.
import { useSignal } from "@preact/signals";
import { useId, useRef } from "preact/hooks";
import type { Task } from "../lib/api";
import { apiNow } from "../lib/clock";
import { clockTime, duration } from "../lib/format";
import { isLate } from "../lib/lease";
import { at } from "../lib/router";
import { type Attempt, STEPS, type Segment, type Stretch, axis, place, segments, ticks } from "../lib/timeline";
import { AttemptTable } from "./AttemptTable";
import { Patterns, StepShape } from "./StepShape";
import { useWidth } from "./Width";

export interface Deadline {
  at: number;
  word: string;
  /** Whether it is put off again and again while all is well: it shows once it is late. */
  renewed?: boolean;
}

interface TimelineProps {
  task: Task;
  attempts: readonly Attempt[];
  /** Of the current attempt. */
  deadlines: readonly Deadline[];
}

export interface LaneOf {
  attempt: Attempt;
  segments: readonly Segment[];
}

const MOST_LANES = 8;
const LANE = 30;
const BAR = 18;
const TOP = 20;
const LEFT = 34;
const WORDS = 16;
/** So wide is what a fold is named by, at least, and so far from its middle is room for a time. */
const FOLD_WORDS = 40;
const TICK_WORDS = 56;

export function Timeline({ task, attempts, deadlines: coming }: TimelineProps) {
  const deadlines = coming.filter((one) => one.renewed !== true || isLate(one.at));
  const all = useSignal(false);
  const lanes = attempts.map((attempt) => ({ attempt, segments: segments(attempt) }));
  const drawn = all.value ? lanes : lanes.slice(-MOST_LANES);
  const end = at.value === null ? apiNow.value : lastMoment(lanes);
  const more = attempts.length - drawn.length;
  return (
    <section class="card timeline" aria-labelledby="timeline-title">
      <div class="title-row">
        <h2 id="timeline-title">{attempts.length === 1 ? "Attempt" : "Attempts"}</h2>
        {more > 0 && (
          <button type="button" class="bare" onClick={() => { all.value = true; }}>
            Show {more} earlier
          </button>
        )}
      </div>
      <Picture lanes={drawn} end={end} deadlines={deadlines} />
      <AttemptTable lanes={drawn} end={end} task={task} />
      {deadlines.length > 0 && (
        <ul class="deadlines">
          {deadlines.map((one) => (
            <li key={one.word}>
              <span aria-hidden="true">◆</span> {one.word} {one.at > end ? `in ${duration(one.at - end)}` : "is over"}{" "}
              <span class="dim">({clockTime(new Date(one.at), new Date(end))})</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function lastMoment(lanes: readonly LaneOf[]): number {
  return Math.max(0, ...lanes.flatMap((lane) => lane.segments.map((one) => one.to ?? one.from)));
}

function Picture({ lanes, end, deadlines }: { lanes: readonly LaneOf[]; end: number; deadlines: readonly Deadline[] }) {
  const host = useRef<HTMLDivElement>(null);
  const width = useWidth(host);
  const title = useId();
  const room = Math.max(120, width - LEFT - 8);
  const ahead = deadlines.filter((one) => one.at > end);
  const spans = lanes.flatMap((lane) => lane.segments.map((one) => [one.from, Math.max(one.from, one.to ?? end)] as const));
  const stretches = axis([...spans, ...ahead.map((one) => [one.at, one.at] as const)], room);
  const height = TOP + lanes.length * LANE + (ahead.length > 0 ? WORDS : 0);
  return (
    <div ref={host} class="picture">
      {width > 0 && (
        <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-labelledby={title}>
          <title id={title}>Timeline of the attempts; the table beneath has the same figures.</title>
          <Patterns />
          <g transform={`translate(${LEFT} 0)`}>
            <Ticks stretches={stretches} height={height} today={end} />
            {lanes.map((lane, index) => (
              <Lane key={lane.attempt.attempt} lane={lane} y={TOP + index * LANE} stretches={stretches} end={end} room={room} />
            ))}
            {ahead.map((one) => (
              <Marker key={one.word} x={place(stretches, one.at)} y={TOP + (lanes.length - 1) * LANE} room={room} word={one.word} />
            ))}
          </g>
        </svg>
      )}
    </div>
  );
}

function Ticks({ stretches, height, today }: { stretches: readonly Stretch[]; height: number; today: number }) {
  const last = stretches.at(-1);
  const width = last === undefined ? 0 : last.x + last.width;
  const folds = stretches.filter((one) => one.folded && one.width >= FOLD_WORDS);
  const free = (x: number) => folds.every((one) => Math.abs(x - one.x - one.width / 2) > TICK_WORDS);
  return (
    <g class="ticks">
      {ticks(stretches, 96).map((moment) => {
        const x = place(stretches, moment);
        return (
          <g key={moment}>
            <line x1={x} x2={x} y1={TOP - 4} y2={height} />
            {x > 24 && x < width - 24 && free(x) && (
              <text x={x} y={TOP - 8} text-anchor="middle">
                {clockTime(new Date(moment), new Date(today))}
              </text>
            )}
          </g>
        );
      })}
      {stretches.map(
        (one) =>
          one.folded && (
            <g key={one.from} class="fold">
              <rect x={one.x} y={TOP - 4} width={one.width} height={height - TOP + 4} />
              {one.width >= FOLD_WORDS && (
                <text x={one.x + one.width / 2} y={TOP - 8} text-anchor="middle">
                  {folded(one.to - one.from)}
                </text>
              )}
            </g>
          ),
      )}
    </g>
  );
}

/** A folded stretch in one unit: "2 h". */
function folded(ms: number): string {
  const seconds = ms / 1000;
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]] as const) if (seconds >= size) return `${Math.round(seconds / size)} ${unit}`;
  return `${Math.round(seconds)} s`;
}

interface LaneProps {
  lane: LaneOf;
  y: number;
  stretches: readonly Stretch[];
  end: number;
  room: number;
}

function Lane({ lane, y, stretches, end, room }: LaneProps) {
  return (
    <g>
      <text class="lane-name" x={-8} y={y + BAR / 2 + 4} text-anchor="end">
        #{lane.attempt.attempt}
      </text>
      {lane.attempt.cancel_requested != null && <Asked x={place(stretches, Date.parse(lane.attempt.cancel_requested.at))} y={y} />}
      {STEPS.flatMap((step) => lane.segments.filter((one) => one.step === step)).map((one) => {
        const from = place(stretches, one.from);
        const to = Math.max(from + 3, place(stretches, Math.max(one.from, one.to ?? end)));
        const x = Math.min(from, room - 3);
        const words = one.to === null && at.value !== null ? one.step : `${one.step} ${duration((one.to ?? end) - one.from)}`;
        return (
          <g key={`${one.step} ${one.from}`}>
            <StepShape step={one.step} x={x} y={y} width={to - from} height={BAR} open={one.to === null} />
            {to - from > words.length * 7 + 12 && (
              <>
                {one.step !== "running" && <rect class="word-ground" x={x + 4} y={y + 2} width={words.length * 7 + 6} height={BAR - 4} rx="2" />}
                <text class={`step-word ${one.step}`} x={x + 8} y={y + BAR / 2 + 4}>
                  {words}
                </text>
              </>
            )}
          </g>
        );
      })}
    </g>
  );
}

/** Where a person asked for the end. */
function Asked({ x, y }: { x: number; y: number }) {
  return (
    <path class="asked" d={`M${x - 4} ${y - 5}h8l-4 5z`}>
      <title>cancel asked for</title>
    </path>
  );
}

function Marker({ x, y, room, word }: { x: number; y: number; room: number; word: string }) {
  const side = x > room / 2 ? "end" : "start";
  return (
    <g class="deadline">
      <line x1={x} x2={x} y1={y - 4} y2={y + BAR + WORDS} />
      <path d={`M${x} ${y - 5}l4 4-4 4-4-4z`} />
      <text x={side === "end" ? x - 6 : x + 6} y={y + BAR + WORDS} text-anchor={side}>
        {word}
      </text>
    </g>
  );
}
