// What an attempt does has a pattern of its own in the timeline, beside its colour and its word.
import type { Step } from "../lib/timeline";

/** The patterns, once for each picture. */
export function Patterns() {
  return (
    <defs>
      <pattern id="step-waited" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <path class="blocked" d="M0 0v7" stroke="currentColor" stroke-width="4" opacity=".55" />
      </pattern>
      <pattern id="step-queued" width="6" height="6" patternUnits="userSpaceOnUse">
        <circle class="moving" cx="3" cy="3" r="1.6" fill="currentColor" />
      </pattern>
    </defs>
  );
}

interface ShapeProps {
  step: Step;
  x: number;
  y: number;
  width: number;
  height: number;
  /** Whether it goes on: its right edge stays open. */
  open?: boolean;
}

const FILL: Record<Step, string> = { waited: "url(#step-waited)", held: "none", queued: "url(#step-queued)", running: "currentColor" };

export function StepShape({ step, x, y, width, height, open = false }: ShapeProps) {
  return (
    <g class={`step ${step}`}>
      <rect class="ground" x={x} y={y} width={width} height={height} rx="3" />
      <rect x={x + 0.5} y={y + 0.5} width={Math.max(1, width - 1)} height={height - 1} rx="3" fill={FILL[step]} stroke="currentColor" />
      {step === "held" && <path d={`M${x} ${y + height - 3.5}h${width}M${x} ${y + 3.5}h${width}`} stroke="currentColor" stroke-width="2" />}
      {open && <path class="open" d={`M${x + width} ${y - 2}v${height + 4}`} stroke="currentColor" stroke-width="2" />}
    </g>
  );
}

/** The pattern beside its word. */
export function StepSwatch({ step }: { step: Step }) {
  return (
    <svg class="swatch" viewBox="0 0 18 12" width="18" height="12" aria-hidden="true">
      <StepShape step={step} x={0} y={0} width={18} height={12} />
    </svg>
  );
}
