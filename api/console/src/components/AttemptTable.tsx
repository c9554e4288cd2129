import type { Task } from "../lib/api";
import { duration } from "../lib/format";
import { actorWords } from "../lib/log_lines";
import { at, href, place } from "../lib/router";
import { shown } from "../lib/safe_text";
import { type State } from "../lib/status";
import { STEPS, spent } from "../lib/timeline";
import { Moment } from "./Time";
import { StateWord } from "./Status";
import { StepSwatch } from "./StepShape";
import type { LaneOf } from "./Timeline";

interface AttemptTableProps {
  lanes: readonly LaneOf[];
  end: number;
  task: Task;
}

/** The figures of the timeline, newest attempt last, as its lanes are. */
export function AttemptTable({ lanes, end, task }: AttemptTableProps) {
  return (
    <div class="sideways" tabIndex={0} role="region" aria-label="Figures of the attempts">
      <table class="table attempt-table">
        <thead>
          <tr>
            <th scope="col">Attempt</th>
            {STEPS.map((step) => (
              <th key={step} scope="col" class="right">
                <StepSwatch step={step} /> {step}
              </th>
            ))}
            <th scope="col">State</th>
            <th scope="col">Runner</th>
            <th scope="col" class="right">
              Token
            </th>
            <th scope="col">Began</th>
            <th scope="col">By</th>
          </tr>
        </thead>
        <tbody>
          {lanes.map((lane) => (
            <Row key={lane.attempt.attempt} lane={lane} end={end} task={task} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ lane, end, task }: { lane: LaneOf; end: number; task: Task }) {
  const { attempt } = lane;
  const current = place.value.query.get("attempt") ?? String(task.attempt);
  const here = current === String(attempt.attempt);
  return (
    <tr class={here ? "here" : undefined}>
      <th scope="row">
        {lane.attempt.started == null || at.value !== null ? (
          `#${attempt.attempt}`
        ) : (
          <a
            href={href(`/tasks/${task.id}`, { attempt: attempt.attempt === task.attempt ? null : attempt.attempt })}
            aria-current={here ? "true" : undefined}
            title="show its output"
          >
            #{attempt.attempt}
          </a>
        )}
      </th>
      {STEPS.map((step) => {
        const found = spent(lane.segments, step, end);
        return (
          <td key={step} class="right number">
            {found === null ? <span class="none">–</span> : <Spent {...found} />}
          </td>
        );
      })}
      <td>
        <StateWord state={stateOf(lane, task)} />
        {attempt.reason != null && (
          <span class="dim reason">{attempt.reason === "exit" && attempt.exit_code != null ? `exit ${attempt.exit_code}` : shown(attempt.reason)}</span>
        )}
        {attempt.cancel_requested != null && (
          <span class="dim reason">
            ▾ cancel asked <Moment at={attempt.cancel_requested.at} />
          </span>
        )}
      </td>
      <td class="mono">{attempt.runner_id == null ? <span class="none">–</span> : <bdi>{shown(attempt.runner_id)}</bdi>}</td>
      <td class="right mono">{attempt.token ?? <span class="none">–</span>}</td>
      <td>
        <Moment at={attempt.claimed.at} />
      </td>
      <td class="dim">{shown(actorWords(attempt.by))}</td>
    </tr>
  );
}

/** Of the past, the log does not tell how long something had been going on. */
function Spent({ ms, goesOn }: { ms: number; goesOn: boolean }) {
  if (goesOn && at.value !== null) return <span class="dim">goes on</span>;
  return <span class={goesOn ? "ticking" : undefined}>{duration(ms)}</span>;
}

function stateOf({ attempt, segments }: LaneOf, task: Task): State {
  const waits = segments.at(-1)?.step === "waited" && segments.at(-1)?.to === null;
  return attempt.status === "dispatched" && waits && task.workspace !== null ? "waiting" : attempt.status;
}
