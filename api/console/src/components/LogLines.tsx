import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { count, shortId } from "../lib/format";
import { shortcut } from "../lib/keys";
import type { LiveLog } from "../lib/live_log";
import { type Line, actorWords, named, stateOfEvent } from "../lib/log_lines";
import { shown } from "../lib/safe_text";
import { FAMILY } from "../lib/status";
import type { Tail } from "../lib/tail";
import { type Titles, loadTitles } from "../lib/titles";
import { drawn } from "../lib/window";
import { Icon } from "./Icon";
import { Link, TaskLink } from "./Link";
import { Glyph } from "./Status";
import { Moment } from "./Time";

const ROW_HEIGHT = 32;
const NEAR_ROWS = 20;
const TITLES_MS = 1000;

/** The lines of the log, oldest first; only those in sight are in the document. Scrolling up pauses. */
export function LogLines({ log, tail }: { log: LiveLog; tail: Tail }) {
  const box = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLOListElement>(null);
  const sight = useSignal({ top: 0, height: 800 });
  const height = useSignal(ROW_HEIGHT);
  const before = useRef<readonly Line[]>(tail.rows);
  const { rows } = tail;
  const following = log.pace.value === "follow";

  // what a person reads stays where it is, whatever is added or left out above it
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const row = list.current?.querySelector<HTMLElement>("li");
    if (row && row.offsetHeight !== height.value && row.offsetHeight > 0) height.value = row.offsetHeight;
    if (following) element.scrollTop = element.scrollHeight;
    else element.scrollTop += moved(before.current, rows) * height.value;
    before.current = rows;
    sight.value = { top: element.scrollTop, height: element.clientHeight };
  }, [rows, following, height.value]);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const watch = new ResizeObserver(() => {
      if (log.pace.value === "follow") element.scrollTop = element.scrollHeight;
      sight.value = { top: element.scrollTop, height: element.clientHeight };
    });
    watch.observe(element);
    return () => watch.disconnect();
  }, [log]);
  const nearTop = () => {
    if (sight.value.top < NEAR_ROWS * height.value) void log.up();
  };
  // a page of older lines may be short, even empty, and another one follow
  useEffect(() => {
    if (!following || rows.length * height.value < sight.value.height) nearTop();
  }, [tail.older, rows.length]);
  const scrolled = () => {
    const element = box.current;
    if (element === null) return;
    const up = element.scrollTop < sight.value.top - 1;
    sight.value = { top: element.scrollTop, height: element.clientHeight };
    const atEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - 2;
    if (up && !atEnd && log.pace.value === "follow") log.pause("read");
    nearTop();
    if (atEnd) void log.down();
  };
  useSteps(box);
  const { first, end } = drawn(rows.length, height.value, sight.value.top, sight.value.height);
  const inSight = rows.slice(first, end);
  const titles = useTitles(inSight);
  return (
    <div ref={box} class="log-box" tabIndex={0} role="region" aria-label="Events" onScroll={scrolled}>
      <Above log={log} tail={tail} />
      <ol
        ref={list}
        class="log-lines"
        style={{ paddingTop: `${first * height.value}px`, paddingBottom: `${(rows.length - end) * height.value}px` }}
      >
        {inSight.map((line, index) => (
          <LogLine key={line.seq} line={line} titles={titles} place={first + index + 1} of={tail.older.done ? rows.length : -1} />
        ))}
      </ol>
    </div>
  );
}

/** By how many rows what is in sight moves down. */
function moved(before: readonly Line[], rows: readonly Line[]): number {
  const [old, now] = [before[0]?.seq, rows[0]?.seq];
  if (old === undefined || now === undefined || old === now) return 0;
  if (now < old) return Math.max(0, rows.findIndex((line) => line.seq === old));
  return -Math.max(0, before.findIndex((line) => line.seq === now));
}

/** `j` and `k` go through the lines in sight. */
function useSteps(box: { current: HTMLElement | null }): void {
  useEffect(() => {
    const step = (by: number) => {
      const links = [...(box.current?.querySelectorAll<HTMLAnchorElement>("a.seq") ?? [])];
      const here = links.indexOf(document.activeElement as HTMLAnchorElement);
      const last = by > 0 ? links.findIndex((link) => link.getBoundingClientRect().bottom > 120) : links.length - 1;
      links[here < 0 ? last : Math.max(0, Math.min(links.length - 1, here + by))]?.focus();
    };
    const ends = [
      shortcut({ keys: "j", what: "next line", run: () => step(1) }),
      shortcut({ keys: "k", what: "previous line", run: () => step(-1) }),
    ];
    return () => ends.forEach((end) => end());
  }, []);
}

/** Titles of the tasks in sight, asked for once a second at most. */
function useTitles(lines: readonly Line[]): Titles {
  const titles = useSignal<Titles>(new Map());
  const wanted = [...new Set(lines.flatMap((line) => line.taskId ?? []))].filter((id) => !titles.value.has(id));
  const key = wanted.join(" ");
  const asked = useRef(0);
  useEffect(() => {
    if (key === "") return;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      asked.current = Date.now();
      loadTitles(key.split(" "), abort.signal).then(
        (found) => {
          const known = [...found].filter(([, title]) => title !== "");
          titles.value = new Map([...titles.value, ...known].slice(-1000));
        },
        () => undefined, // ids are shown instead
      );
    }, Math.max(0, asked.current + TITLES_MS - Date.now()));
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [key]);
  return titles.value;
}

function Above({ log, tail }: { log: LiveLog; tail: Tail }) {
  const stuck = log.stuck.value;
  if (stuck !== null) {
    const again = () => {
      log.stuck.value = null;
      void log.up();
    };
    return (
      <p class="log-above" role="alert">
        {stuck.message}{" "}
        <button type="button" class="button small" onClick={again}>
          Try again
        </button>
      </p>
    );
  }
  return <p class="log-above dim">{tail.older.done ? "This is the first one." : "Reading older events …"}</p>;
}

interface LogLineProps {
  line: Line;
  titles: Titles;
  place: number;
  /** How many there are; -1: not known. */
  of: number;
}

function LogLine({ line, titles, place, of }: LogLineProps) {
  const state = stateOfEvent(line.event);
  return (
    <li class="log-line" aria-posinset={place} aria-setsize={of} data-seq={line.seq}>
      <Link to={`/log/${line.seq}`} class="seq mono">
        {count(line.seq)}
      </Link>
      <Moment at={line.at} />
      <span class={`event ${state === null ? "idle" : FAMILY[state]}`}>
        {state === null ? <Icon name="workspaces" /> : <Glyph state={state} />}
        <span>
          {named(line)}
          {line.attempt !== null && <span class="dim number"> #{line.attempt}</span>}
        </span>
      </span>
      <span class="subject">
        <Subject line={line} titles={titles} />
      </span>
      <bdi class="words">{shown(line.words)}</bdi>
      <bdi class="who dim">{shown(actorWords(line.actor))}</bdi>
    </li>
  );
}

function Subject({ line: { taskId, workspace }, titles }: { line: Line; titles: Titles }) {
  if (taskId !== null) return <TaskLink id={taskId} title={titles.get(taskId) || shortId(taskId)} />;
  if (workspace === null) return null;
  return <Link to={`/locks/${encodeURIComponent(workspace)}`}>{shown(workspace)}</Link>;
}
