// The figures of the overview: contention, events, runners, and how the log and its readers are.
import type { ComponentChildren } from "preact";
import type { Schemas } from "../lib/api";
import { bytes, count, duration, plural } from "../lib/format";
import { heights, rateInWords } from "../lib/overview";
import { shown } from "../lib/safe_text";
import { hasPage } from "../pages";
import { WaitLine } from "./Activity";
import { Link } from "./Link";
import { type RunnerState, RunnerWord } from "./Runner";

type Overview = Schemas["Overview"];

function Card({ title, wide, children }: { title: string; wide?: boolean; children: ComponentChildren }) {
  return (
    <section class={wide ? "card wide" : "card"} aria-label={title}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

const NOT_KNOWN = <p class="dim">Not known now.</p>;

export function Contention({ of }: { of: Overview }) {
  const { contended, locks } = of;
  const longest = Math.max(1, ...contended.map((one) => one.longest_wait_seconds));
  return (
    <Card title="Contention" wide>
      <p class="dim">
        <Link to="/locks">
          {count(locks.held)} held · {count(locks.waiting)} waiting
        </Link>
        {locks.longest_wait_seconds != null && ` · longest ${duration(locks.longest_wait_seconds * 1000)}`}
      </p>
      {contended.length === 0 && <p class="calm">No task waits for another.</p>}
      <ol class="contended">
        {contended.map((one) => (
          <li key={one.workspace}>
            <Link to={`/locks/${encodeURIComponent(one.workspace)}`} class="where">
              <bdi>{shown(one.workspace)}</bdi>
            </Link>
            <Bar share={one.longest_wait_seconds / longest} />
            <span class="number">{duration(one.longest_wait_seconds * 1000)}</span>
            <span class="behind">
              <WaitLine task={one} paths={one.paths} more={one.more_paths} behind={one.behind} inTheWay={one.in_the_way} />
              <span class="dim">
                {" · "}
                {count(one.held)} held · {count(one.waiting)} waiting
              </span>
            </span>
          </li>
        ))}
      </ol>
    </Card>
  );
}

function Bar({ share }: { share: number }) {
  return (
    <svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect width={Math.max(2, share * 100)} height="8" rx="1.5" />
    </svg>
  );
}

const TALL = 44;

export function EventRate({ of }: { of: Overview }) {
  const minutes = of.events_per_minute && [...of.events_per_minute, of.events_this_minute ?? 0];
  return (
    <Card title="Events per minute" wide>
      {minutes === null ? (
        NOT_KNOWN
      ) : (
        <figure class="rate">
          <svg viewBox={`0 0 ${minutes.length * 4} ${TALL}`} preserveAspectRatio="none" role="img" aria-label={rateInWords(minutes)}>
            {heights(minutes, TALL).map((height, index) => (
              <rect key={index} x={index * 4} y={TALL - height} width="3" height={height} />
            ))}
          </svg>
          <p class="axis dim" aria-hidden="true">
            <span>1 h ago</span>
            <span>now</span>
          </p>
          <figcaption aria-hidden="true">{rateInWords(minutes)}</figcaption>
        </figure>
      )}
    </Card>
  );
}

export function Runners({ of }: { of: Overview }) {
  const { runners, awaiting_operator: kept } = of;
  return (
    <Card title="Runners">
      {runners === null ? (
        NOT_KNOWN
      ) : (
        <ul class="tally">
          {(["alive", "suspected", "lost"] as const satisfies readonly RunnerState[]).map((state) => (
            <li key={state}>
              <Link to="/runners">
                <RunnerWord state={state} />
                <b class="number">{count(runners[state] ?? 0)}</b>
              </Link>
            </li>
          ))}
        </ul>
      )}
      {kept !== null && kept > 0 && <p>{plural(kept, "lock of a lost runner", "locks of lost runners")} kept for an operator.</p>}
    </Card>
  );
}

export function DeadLetters({ number }: { number: number | null }) {
  return (
    <Card title="Dead letters">
      {number === null && NOT_KNOWN}
      {number === 0 && <p class="calm">None: every message was applied.</p>}
      {number !== null && number > 0 && (
        <p>
          {hasPage("/evidence") ? <Link to="/evidence">{plural(number, "message")}</Link> : plural(number, "message")} could not be applied.
        </p>
      )}
    </Card>
  );
}

export function LogRoom({ bounds }: { bounds: Overview["log_room"] }) {
  return (
    <Card title="Room of the log">
      {bounds.length === 0 && <p class="calm">Without a limit.</p>}
      <ul class="tally">
        {bounds.map((one) => (
          <li key={one.name}>
            <small class="dim">{shown(one.name)}</small>
            <b class="number room">{bytes(one.left_bytes)} left</b>
            {one.reserve_bytes > 0 && <small class="dim">{bytes(one.reserve_bytes)} of it are kept for what has begun</small>}
          </li>
        ))}
      </ul>
    </Card>
  );
}

export function Lags({ of }: { of: Overview["lags"] }) {
  const all = Object.entries(of);
  const late = all.filter(([, lag]) => lag == null || lag.events > 0);
  return (
    <Card title="Behind the log">
      <p class="calm">{late.length === 0 ? `Nothing: all ${all.length} readers have read it to its end.` : `${late.length} of ${all.length} readers:`}</p>
      <ul class="tally">
        {late.map(([name, lag]) => (
          <li key={name}>
            <span>{shown(name)}</span>
            <b class="number">{lag == null ? "not known" : plural(lag.events, "event")}</b>
            {lag != null && lag.events > 0 && <small class="dim">oldest {duration(lag.seconds * 1000)}</small>}
          </li>
        ))}
      </ul>
    </Card>
  );
}
