// What has been in a workspace: a lane a path with its claims in time, and beneath the same as a table.
import { useRef } from "preact/hooks";
import { get } from "../lib/api";
import { apiNow } from "../lib/clock";
import { clockTime, count, plural } from "../lib/format";
import { type Axis, type Bar, type Claim, type Lane, axisOf, endWords, endingOf, lanes } from "../lib/lanes";
import { momentLog, travel } from "../lib/moment";
import { useMoment } from "../lib/resource";
import { at, place } from "../lib/router";
import { shown } from "../lib/safe_text";
import type { Titles } from "../lib/titles";
import { Link, TaskLink } from "./Link";
import { Columns } from "./Page";
import { Paths } from "./Paths";
import { RunnerLink } from "./Runner";
import { Loaded } from "./States";
import { Span } from "./Time";
import { useWidth } from "./Width";

const REFRESH_SECONDS = 5;
const MOST = { whole: { claims: 100, lanes: 40, rows: 8 }, some: { claims: 20, lanes: 6, rows: 3 } };
const ROW = 24;
const LETTER = 7.5;
/** Fewer of a title tell nothing. */
const FEWEST_LETTERS = 8;

interface LockHistoryProps {
  workspace: string;
  titles: Titles;
  whole: boolean;
}

export function LockHistory({ workspace, titles, whole }: LockHistoryProps) {
  const most = whole ? MOST.whole : MOST.some;
  const found = useMoment(
    `history ${workspace}`,
    async (then, signal) =>
      get("/workspaces/{workspace}/locks/history", { path: { workspace }, query: { limit: most.claims, at: then }, signal }),
    REFRESH_SECONDS,
  );
  return (
    <Loaded of={found} rows={4}>
      {({ items, next_cursor: more }) =>
        items.length === 0 ? (
          <p class="dim">{at.value === null ? "Nothing has claimed a path of this workspace yet." : "Nothing had claimed a path of this workspace."}</p>
        ) : (
          <>
            <Lanes claims={items} most={most} titles={titles} />
            <ClaimsTable claims={items} titles={titles} />
            {more != null && <p class="dim left-out">The newest {most.claims} claims; there are older ones.</p>}
          </>
        )
      }
    </Loaded>
  );
}

/** Up to when the lanes go: now, or the shown moment. */
function until(claims: readonly Claim[]): number {
  if (at.value === null) return apiNow.value;
  const steps = claims.flatMap((one) => [one.claimed, one.granted, one.refused, one.left, one.released]);
  return Math.max(...[...steps, momentLog.value?.at ?? null].map((step) => (step === null ? 0 : Date.parse(step.at))));
}

function Lanes({ claims, most, titles }: { claims: readonly Claim[]; most: typeof MOST.some; titles: Titles }) {
  const axis = axisOf(claims, until(claims));
  const all = lanes(claims, axis);
  return (
    <div class="lanes">
      <dl>
        {all.slice(0, most.lanes).map((lane) => (
          <LaneRow key={lane.path} lane={lane} most={most.rows} titles={titles} />
        ))}
      </dl>
      <LaneTimes axis={axis} />
      {all.length > most.lanes && <p class="dim left-out">and {plural(all.length - most.lanes, "more path")}</p>}
      <p class="legend dim">
        <span>
          <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">
            <rect class="bar-waits" x="1" y="3" width="14" height="10" rx="2" />
          </svg>
          waits
        </span>
        <span>
          <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">
            <rect class="bar-holds" x="1" y="3" width="14" height="10" rx="2" />
          </svg>
          holds
        </span>
        <span>A click on a bar shows the moment of its grant.</span>
      </p>
    </div>
  );
}

function LaneRow({ lane, most, titles }: { lane: Lane; most: number; titles: Titles }) {
  const host = useRef<HTMLElement>(null);
  const pixels = useWidth(host);
  const rows = lane.rows.slice(0, most);
  const left = lane.rows.slice(most).flat().length;
  return (
    <div class="lane">
      <dt class="mono">{lane.path === "" ? "." : <bdi>{shown(lane.path)}</bdi>}</dt>
      <dd ref={host}>
        <svg class="bars" height={rows.length * ROW} role="img" aria-label={`${plural(lane.rows.flat().length, "claim")}, in the table beneath`}>
          {rows.flatMap((row, index) => row.map((bar) => <BarOf key={`${bar.claim.task_id} ${bar.claim.attempt}`} bar={bar} y={index * ROW + 2} pixels={pixels} titles={titles} />))}
        </svg>
        {left > 0 && <span class="dim">and {plural(left, "more claim")} at the same time</span>}
      </dd>
    </div>
  );
}

interface BarProps {
  bar: Bar;
  y: number;
  /** Of the whole lane. */
  pixels: number;
  titles: Titles;
}

function BarOf({ bar, y, pixels, titles }: BarProps) {
  const { claim, from, held, to, open } = bar;
  const name = shown(titles.get(claim.task_id) || claim.title || claim.task_id.slice(-8));
  const height = ROW - 4;
  const width = (a: number, b: number) => `${(Math.max(0, b - a) * 100).toFixed(3)}%`;
  const letters = Math.floor(((to - (held ?? from)) * pixels - 12) / LETTER);
  const room = letters >= Math.min(name.length, FEWEST_LETTERS) ? letters : 0;
  const x = (place: number) => `${(place * 100).toFixed(3)}%`;
  return (
    <g class={`bar-of ${open ? "open" : ""}`} data-ending={endingOf(claim)} onClick={() => travel((claim.granted ?? claim.claimed).seq, { jump: true })}>
      <title>{`${name} #${claim.attempt}${claim.token === null ? "" : ` · token ${claim.token}`} · ${endWords(claim)}`}</title>
      <rect class="bar-waits" x={x(from)} y={y + 4} width={width(from, held ?? to)} height={height - 8} rx="2" />
      {held !== null && <rect class="bar-holds" x={x(held)} y={y} width={width(held, to)} height={height} rx="3" />}
      {room > 0 && (
        <text x={x(held ?? from)} dx="6" y={y + 14}>
          {name.length > room ? `${name.slice(0, room - 1)}…` : name}
        </text>
      )}
    </g>
  );
}

function LaneTimes({ axis }: { axis: Axis }) {
  const today = new Date(axis.to);
  return (
    <p class="lane-times dim number" aria-hidden="true">
      <span>{clockTime(new Date(axis.from), today)}</span>
      <span>{clockTime(new Date((axis.from + axis.to) / 2), today)}</span>
      <span>{at.value === null ? "now" : clockTime(today, today)}</span>
    </p>
  );
}

function ClaimsTable({ claims, titles }: { claims: readonly Claim[]; titles: Titles }) {
  return (
    <table class="table machines history-table">
      <Columns names={["Claimed", "Task", "Paths", "Token", "Runner", "Waited", "Held", "How it ended"]} right={["Token"]} />
      <tbody>
        {claims.map((one) => (
          <tr key={`${one.task_id} ${one.attempt}`}>
            <td>
              <Step step={one.claimed} />
            </td>
            <th scope="row">
              <TaskLink id={one.task_id} title={titles.get(one.task_id) || one.title} /> <span class="dim number">#{one.attempt}</span>
            </th>
            <td data-name="paths">
              <Paths of={one.paths} /> {one.mode === "shared" && <span class="dim">shared</span>}
            </td>
            <td class="right number" data-name="token">
              {one.token ?? <span class="none">–</span>}
            </td>
            <td data-name="runner">{one.runner_id === null ? <span class="none">–</span> : <RunnerLink id={one.runner_id} />}</td>
            <td data-name="waited">
              <Span from={one.claimed.at} to={(one.granted ?? one.refused ?? one.left)?.at ?? null} />
            </td>
            <td data-name="held">
              <Span from={one.granted?.at ?? null} to={one.released?.at ?? null} />
            </td>
            <td data-name="ended">
              <Ended claim={one} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Ended({ claim }: { claim: Claim }) {
  const over = claim.released ?? claim.refused ?? claim.left;
  return (
    <>
      {shown(endWords(claim))} {over !== null && <Step step={over} />}
    </>
  );
}

/** The sequence of a step, which leads to that moment. */
function Step({ step }: { step: { seq: number; at: string } }) {
  const moment = new Date(step.at);
  return (
    <Link to={place.value.path} params={{ at: step.seq, view: "history" }} class="mono" title={step.at}>
      {count(step.seq)} <time dateTime={step.at}>{clockTime(moment, new Date(apiNow.value))}</time>
    </Link>
  );
}
