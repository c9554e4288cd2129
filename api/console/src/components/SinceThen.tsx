// The past beside the present: what has become of claims and tasks, by a shape and a word each.
import type { JSX } from "preact";
import type { Row } from "../lib/api";
import { type ChangeKind, type ClaimChange, taskDifferences } from "../lib/differences";
import { count } from "../lib/format";
import { keyOf } from "../lib/locks";
import { shown } from "../lib/safe_text";
import type { Titles } from "../lib/titles";
import { TaskLink } from "./Link";
import { TaskStatus } from "./Status";

const SHAPES: Record<ChangeKind, JSX.Element> = {
  gone: <path d="M3 8h10" />,
  new: <path d="M3 8h10M8 3v10" />,
  granted: <path class="solid" d="M8 2.5 14 13H2z" />,
  moved: <path d="M8 13.5v-11M4 6.5l4-4 4 4" />,
};

function wordsOf({ kind, claim, place }: ClaimChange): string {
  if (kind === "gone") return "gone now";
  if (kind === "moved") return `place ${place?.now} now`;
  if (kind === "granted") return "holds now";
  return "token" in claim ? "holds since then" : "waits since then";
}

function Shape({ kind }: { kind: ChangeKind }) {
  return (
    <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">
      {SHAPES[kind]}
    </svg>
  );
}

/** What has become of one claim. */
export function NowTag({ change }: { change: ClaimChange | undefined }) {
  if (change === undefined) return null;
  return (
    <span class="now-tag" data-change={change.kind}>
      <Shape kind={change.kind} /> {wordsOf(change)}
    </span>
  );
}

const MOST = 20;

/** All that is different in one workspace. */
export function SinceThen({ changes, titles }: { changes: readonly ClaimChange[]; titles: Titles }) {
  if (changes.length === 0) return <p class="since dim">Now as then.</p>;
  return (
    <div class="since">
      <h3>Different now</h3>
      <ul>
        {changes.slice(0, MOST).map((change) => (
          <li key={keyOf(change.claim)}>
            <NowTag change={change} /> <TaskLink id={change.claim.task_id} title={titles.get(change.claim.task_id) ?? ""} />{" "}
            <bdi class="mono">{change.claim.paths.slice(0, 3).map(shown).join(" ") || "."}</bdi>
            {"token" in change.claim && <span class="dim number"> token {change.claim.token}</span>}
          </li>
        ))}
        {changes.length > MOST && <li class="dim">and {count(changes.length - MOST)} more</li>}
      </ul>
    </div>
  );
}

/** In a list: how the task stands now, if its state is another one. */
export function NowStatus({ then, now }: { then: Row; now: Row | undefined }) {
  if (now === undefined || taskDifferences(then, now).length === 0) return null;
  return (
    <span class="now-tag" data-change="moved">
      now <TaskStatus task={now} />
      {now.attempt !== then.attempt && <span class="number">#{now.attempt}</span>}
    </span>
  );
}

/** On the page of a task: every fact that is different now. */
export function TaskSince({ then, now }: { then: Row; now: Row }) {
  const found = taskDifferences(then, now);
  if (found.length === 0) return <p class="since dim">Now as then.</p>;
  return (
    <table class="since task-since">
      <thead>
        <tr>
          <th scope="col">Different now</th>
          <th scope="col">Then</th>
          <th scope="col">Now</th>
        </tr>
      </thead>
      <tbody>
        {found.map((one) => (
          <tr key={one.name}>
            <th scope="row">{one.name}</th>
            <td>{shown(one.then)}</td>
            <td>
              <strong>{shown(one.now)}</strong>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
