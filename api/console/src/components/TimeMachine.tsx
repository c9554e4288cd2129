// The time machine: any page as of any event. The slider moves a number; the page follows when it is let go.
import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { type Schemas, get, lastSeq } from "../lib/api";
import { capital, count, dayTime } from "../lib/format";
import { shortcut } from "../lib/keys";
import type { Marks } from "../lib/marks";
import { say } from "../lib/messages";
import { machineOpen, momentLog, preview, scrub, seqThen, travel } from "../lib/moment";
import { useResource } from "../lib/resource";
import { at, place } from "../lib/router";
import { roleMissing } from "../lib/session";
import { useSettled } from "../lib/settled";
import { type Subject, canStep, loadMarks, neighbour, subjectOf } from "../lib/steps";
import { type Range, type Tick, holding, merged, timeAt, zoomed } from "../lib/axis";
import { GoTo } from "./GoTo";
import { Icon } from "./Icon";
import { Legend } from "./MarkLegend";
import { Play } from "./Play";
import { MomentAxis } from "./MomentAxis";

type Log = Schemas["LogRead"];

const TICKS = 60;
const REFRESH_SECONDS = 15;
const PAGE_STEP = 0.1;
const ZOOM = 4;

export function TimeMachine() {
  useEffect(() => shortcut({ keys: "t", what: "time machine", run: () => toggle() }), []);
  return machineOpen.value ? <Machine /> : null;
}

function toggle(open = !machineOpen.value): void {
  machineOpen.value = open;
}

function Machine() {
  const dock = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    const before = document.activeElement;
    return () => {
      if (dock.current?.contains(document.activeElement) && before instanceof HTMLElement) before.focus({ preventScroll: true });
    };
  }, []);
  const found = useResource("log", async (signal) => get("/log", { query: { ticks: TICKS }, signal }), REFRESH_SECONDS);
  const log = found.data.value;
  const ready = log?.last != null;
  useLayoutEffect(() => {
    if (ready) dock.current?.querySelector<HTMLElement>("input[type=range]")?.focus({ preventScroll: true });
  }, [ready]);
  return (
    <section ref={dock} class="machine" aria-label="Time machine">
      {ready && log !== null ? <Travel log={log} /> : <p class="dim">{log === null ? "Looking at the log…" : "The log has no event yet."}</p>}
      <button type="button" class="bare machine-close" aria-label="Close the time machine" title="close (t)" onClick={() => toggle(false)}>
        <Icon name="close" />
      </button>
    </section>
  );
}

function Travel({ log }: { log: Log }) {
  const whole: Range = { from: 1, to: Math.max(log.last?.seq ?? 1, seqThen.value ?? 1) };
  const part = useSignal<Range | null>(null);
  const seq = preview.value ?? seqThen.value ?? whole.to;
  const range = part.value === null ? whole : holding(part.value, whole, seq);
  const zoom = (factor: number) => {
    const next = zoomed(range, whole, seq, factor);
    part.value = next.to - next.from >= whole.to - whole.from ? null : next;
  };
  const all = useSignal(false);
  const settled = useSettled(range, `${range.from} ${range.to}`, 250);
  const ticks = useTicks(settled.value, part.value !== null, log);
  const marks = useMarks(settled.value);
  const words = useWords(seq, ticks);
  const steps = useSteps(seq, whole);
  useEffect(() => {
    part.value = range === whole ? null : range;
  }, [range.from, range.to]);
  const key = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.round((range.to - range.from) * PAGE_STEP));
    if (steps.key(event, page)) event.preventDefault();
  };
  return (
    <>
      <div class={all.value ? "machine-tools all" : "machine-tools"}>
        <Steps {...steps} />
        <Play seq={seq} last={whole.to} />
        <p class="machine-now">
          <strong>{at.value === null && preview.value === null ? "Live" : count(seq)}</strong> <span class="dim">{words.time}</span>
        </p>
        <GoTo last={Math.max(whole.to, lastSeq.value)} />
        <Zoom range={range} whole={whole} zoom={zoom} />
        <button type="button" class="button small machine-all" aria-expanded={all.value} onClick={() => { all.value = !all.value; }}>
          {all.value ? "Less" : "More"}
        </button>
      </div>
      <MomentAxis
        range={range}
        whole={whole}
        ticks={ticks}
        marks={marks?.marks ?? []}
        seq={seq}
        live={at.value === null && preview.value === null}
        words={words.all}
        scrub={scrub}
        look={(next) => {
          part.value = next;
        }}
        key_={key}
      />
      <Legend marks={marks} />
    </>
  );
}

/** Times along the axis: of the whole log, and closer ones of the part that is looked at. */
function useTicks({ from, to }: Range, part: boolean, log: Log): Tick[] {
  const near = useResource(
    `ticks ${part ? `${from} ${to}` : ""}`,
    async (signal) => (part ? get("/log", { query: { ticks: TICKS, from, to }, signal }) : null),
    0,
    "ticks",
  );
  const ends = [log.first, log.last, momentLog.value?.at ?? null].filter((one) => one !== null);
  return merged(ends, log.ticks, near.data.value?.ticks ?? []);
}

/** Null where the role may not see them. */
function useMarks(range: Range): Marks | null {
  const may = roleMissing("GET /events") === null;
  const found = useResource(`marks ${may} ${range.from} ${range.to}`, async (signal) => (may ? loadMarks(range, signal) : null), 0, "marks");
  return found.data.value;
}

function useWords(seq: number, ticks: readonly Tick[]): { time: string; all: string } {
  const time = timeAt(seq, ticks);
  const text = time === null ? "" : `${time.exact ? "" : "about "}${dayTime(time.at)}Z`;
  return { time: text, all: `event ${seq}${text === "" ? "" : `, ${text}`}` };
}

interface Steppers {
  subject: Subject;
  step: (by: number) => void;
  jump: (forwards: boolean) => void;
  key: (event: KeyboardEvent, page: number) => boolean;
}

/** One event on or back, or to the next one of what the page shows; also by the arrow keys, wherever the focus is. */
function useSteps(seq: number, whole: Range): Steppers {
  const subject = subjectOf(place.value.path);
  const asking = useRef<AbortController | null>(null);
  const to = (next: number) => scrub(Math.min(whole.to, Math.max(1, next)), true);
  const step = (by: number) => to(seq + by);
  const jump = (forwards: boolean) => {
    asking.current?.abort();
    const asked = new AbortController();
    asking.current = asked;
    if (!canStep(subject)) return;
    neighbour(subject, seq, forwards, asked.signal).then(
      (next) => {
        if (asked.signal.aborted) return;
        if (next !== null && next >= 1 && next <= whole.to) travel(next);
        else say(`${forwards ? "No later" : "No earlier"} event of ${subject.words}.`);
      },
      (error: unknown) => {
        if (!asked.signal.aborted) say(capital(error instanceof Error ? error.message : String(error)), "bad");
      },
    );
  };
  const key = (event: KeyboardEvent, page: number): boolean => {
    const by: Record<string, () => void> = {
      ArrowLeft: () => (event.shiftKey ? jump(false) : step(-1)),
      ArrowRight: () => (event.shiftKey ? jump(true) : step(1)),
      ArrowDown: () => step(-1),
      ArrowUp: () => step(1),
      PageDown: () => step(-page),
      PageUp: () => step(page),
      Home: () => to(1),
      End: () => to(whole.to),
      Escape: () => (at.value === null ? toggle(false) : travel(null)),
    };
    const run = event.ctrlKey || event.metaKey || event.altKey ? undefined : by[event.key];
    run?.();
    return run !== undefined;
  };
  const now = useRef({ step, jump });
  now.current = { step, jump };
  useEffect(() => {
    const ends = [
      shortcut({ keys: "ArrowLeft", what: "one event back", run: () => now.current.step(-1) }),
      shortcut({ keys: "ArrowRight", what: "one event on", run: () => now.current.step(1) }),
      shortcut({ keys: "Shift+ArrowLeft", what: "the event before of what is shown", run: () => now.current.jump(false) }),
      shortcut({ keys: "Shift+ArrowRight", what: "the next event of what is shown", run: () => now.current.jump(true) }),
    ];
    return () => {
      asking.current?.abort();
      ends.forEach((end) => end());
    };
  }, []);
  return { subject, step, jump, key };
}

function Steps({ subject, step, jump }: Steppers) {
  const may = canStep(subject);
  const title = (words: string) => (may ? `${words} of ${subject.words} (Shift and arrow)` : "needs auditor");
  return (
    <div class="machine-steps" role="group" aria-label="Steps">
      <button type="button" class="button small" disabled={!may} aria-label={`Event before of ${subject.words}`} title={title("event before")} onClick={() => jump(false)}>
        ⇤
      </button>
      <button type="button" class="button small" aria-label="One event back" title="one event back (←)" onClick={() => step(-1)}>
        ←
      </button>
      <button type="button" class="button small" aria-label="One event on" title="one event on (→)" onClick={() => step(1)}>
        →
      </button>
      <button type="button" class="button small" disabled={!may} aria-label={`Next event of ${subject.words}`} title={title("next event")} onClick={() => jump(true)}>
        ⇥
      </button>
    </div>
  );
}

function Zoom({ range, whole, zoom }: { range: Range; whole: Range; zoom: (factor: number) => void }) {
  const all = range.from === whole.from && range.to === whole.to;
  return (
    <div class="machine-zoom" role="group" aria-label="Zoom">
      <button type="button" class="button small" aria-label="Look closer" title="look closer" onClick={() => zoom(1 / ZOOM)}>
        +
      </button>
      <button type="button" class="button small" aria-label="Look from farther" title="look from farther" disabled={all} onClick={() => zoom(ZOOM)}>
        −
      </button>
      <span class="dim number">
        {all ? `all ${count(whole.to)}` : `${count(range.from)} – ${count(range.to)}`}
      </span>
    </div>
  );
}
