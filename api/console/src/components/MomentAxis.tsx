// The axis of the time machine: marks, a slider over sequences, times beneath it, and the whole log as a small map.
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { MARK_WORDS, type Mark, type MarkKind } from "../lib/marks";
import { type Range, type Tick, centred, labels, seqAt, share } from "../lib/axis";
import { count } from "../lib/format";

const MOST_LABELS = 8;

interface MomentAxisProps {
  range: Range;
  whole: Range;
  ticks: readonly Tick[];
  marks: readonly Mark[];
  /** Where the slider stands. */
  seq: number;
  live: boolean;
  /** In words, for a screen reader. */
  words: string;
  scrub: (seq: number, released: boolean) => void;
  look: (range: Range) => void;
  key_: (event: KeyboardEvent) => void;
}

export function MomentAxis({ range, whole, ticks, marks, seq, live, words, scrub, look, key_ }: MomentAxisProps) {
  const zoomedIn = range.from !== whole.from || range.to !== whole.to;
  return (
    <div class="moment-axis">
      <svg class="marks" aria-hidden="true">
        {marks.map((mark) => (
          <svg key={mark.seq} x={percent(mark.seq, range)} y="0" width="1" height="14" overflow="visible" onClick={() => scrub(mark.seq, true)}>
            <title>{`${MARK_WORDS[mark.kind]} · ${count(mark.seq)}`}</title>
            <g class={`mark-${mark.kind}`}>{MARK_SHAPES[mark.kind]}</g>
          </svg>
        ))}
      </svg>
      <input
        type="range"
        class={live ? "live" : ""}
        aria-label="Moment"
        aria-valuetext={words}
        min={range.from}
        max={range.to}
        step={1}
        value={seq}
        onInput={(event) => scrub(Number(event.currentTarget.value), false)}
        onChange={(event) => scrub(Number(event.currentTarget.value), true)}
        onKeyDown={key_}
      />
      <svg class="times" aria-hidden="true">
        {labels(ticks, range, MOST_LABELS).map(({ seq: of, text }) => (
          <text key={of} x={percent(of, range)} y="11" text-anchor="middle">
            {text}
          </text>
        ))}
      </svg>
      {zoomedIn && <MiniMap range={range} whole={whole} seq={seq} look={look} />}
    </div>
  );
}

/** Each kind has a shape of its own, drawn around 0,7. */
export const MARK_SHAPES: Record<MarkKind, JSX.Element> = {
  failed: <path d="m-4 3 8 8m0-8-8 8" />,
  lost: <path class="solid" d="M0 1.5 5.5 12h-11z" />,
  refused: <path d="M0 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M-3 10 3 4" />,
  freed: <path d="M0 1.5 5 7 0 12.5-5 7z" />,
};

/** The whole log, with the part that the slider is over; a click or a drag moves that part. */
function MiniMap({ range, whole, seq, look }: Pick<MomentAxisProps, "range" | "whole" | "seq" | "look">) {
  const map = useRef<SVGSVGElement>(null);
  const move = (event: PointerEvent) => {
    const box = map.current?.getBoundingClientRect();
    if (box === undefined || (event.type === "pointermove" && event.buttons === 0)) return;
    if (event.type === "pointerdown") map.current?.setPointerCapture(event.pointerId);
    look(centred(range, whole, seqAt((event.clientX - box.left) / box.width, whole)));
  };
  const width = Math.max(0.4, 100 * (share(range.to, whole) - share(range.from, whole)));
  return (
    <svg ref={map} class="minimap" role="img" aria-label={`events ${count(range.from)} to ${count(range.to)} of ${count(whole.to)}`} onPointerDown={move} onPointerMove={move}>
      <rect class="all" y="4" width="100%" height="4" rx="2" />
      <rect class="part" x={percent(range.from, whole)} y="1" width={`${width}%`} height="10" rx="3" />
      <rect class="here" x={percent(seq, whole)} y="0" width="2" height="12" />
    </svg>
  );
}

function percent(seq: number, range: Range): string {
  return `${(100 * share(seq, range)).toFixed(3)}%`;
}
