// The log, live: every event as it is recorded, filtered by the API. It pauses without a gap.
import { useEffect, useMemo, useRef } from "preact/hooks";
import { CopyButton } from "../components/CopyButton";
import { LogFilterBar } from "../components/LogFilterBar";
import { LogLines } from "../components/LogLines";
import { Empty, Failed, Skeleton } from "../components/States";
import { address } from "../lib/api";
import { now } from "../lib/clock";
import { count, duration } from "../lib/format";
import { shortcut } from "../lib/keys";
import { LiveLog } from "../lib/live_log";
import { type LogFilters, curl, isFiltered, logFilters, natsSub, toQuery } from "../lib/log_filters";
import { at, place } from "../lib/router";
import { logins, roleMissing, session } from "../lib/session";
import { news } from "../lib/tail";

const STREAM = "GET /events/stream";

export function LogPage() {
  const filters = logFilters(place.value.query);
  const missing = session.value === null ? null : roleMissing(STREAM);
  return (
    <section class="page log" aria-label="Log">
      {missing !== null && <Forbidden filters={filters} role={missing} />}
      {/* what the session permits is known with its first answer */}
      {session.value !== null && missing === null && (
        <Live filters={filters} />
      )}
    </section>
  );
}

function Forbidden({ filters, role }: { filters: LogFilters; role: string }) {
  return (
    <>
      <header class="page-head">
        <h1 tabIndex={-1}>Log</h1>
        <LogFilterBar filters={filters} disabled />
      </header>
      <Empty title={`The log needs the role ${role}`}>
        <p>It has every event with its data, and who caused it. What has become of tasks and locks is on their pages.</p>
      </Empty>
    </>
  );
}

function Live({ filters }: { filters: LogFilters }) {
  const then = at.value;
  const key = JSON.stringify([filters, then, logins.value]);
  const log = useMemo(() => new LiveLog(filters, then), [key]);
  useEffect(() => () => log.stop(), [log]);
  useEffect(() => {
    if (then !== null) return;
    const ends = [
      shortcut({ keys: "p", what: "pause the log, or follow it", run: () => turn(log) }),
      shortcut({ keys: ".", what: "show new events", run: () => log.follow() }),
    ];
    return () => ends.forEach((end) => end());
  }, [log]);
  return (
    <>
      <header class="page-head">
        <div class="title-row">
          <h1 tabIndex={-1}>Log</h1>
          {then === null && log.error.value === null && <State log={log} />}
          <span class="log-tools">
            <Copies filters={filters} />
            {then === null && <PauseButton log={log} />}
          </span>
        </div>
        <LogFilterBar filters={filters} disabled={false} />
      </header>
      <Lines log={log} about={JSON.stringify([filters, then === null, logins.value])} filtered={isFiltered(filters)} />
      {then === null && <News log={log} />}
    </>
  );
}

function turn(log: LiveLog): void {
  if (log.pace.value === "follow") log.pause("held");
  else log.follow();
}

/** Lines of another moment stay until those of this one are there, where both are `about` the same. */
function Lines({ log, about, filtered }: { log: LiveLog; about: string; filtered: boolean }) {
  const kept = useRef({ log, about });
  if (log.tail.value !== null || log.error.value !== null || kept.current.about !== about) kept.current = { log, about };
  const shown = kept.current.log;
  const [tail, stream] = [shown.tail.value, shown.stream.value];
  const away = stream.kind === "away" ? stream.error : null;
  const error = log.error.value ?? (tail === null ? away : null);
  if (error !== null) return <Failed error={error} retry={() => log.restart()} />;
  if (tail === null) return <Skeleton rows={16} />;
  if (tail.rows.length === 0 && tail.older.done && news(tail) === 0) {
    return (
      <Empty title={filtered ? "No event fits these filters" : "Nothing is recorded yet"}>
        {at.value === null && <p>New ones show here as they are recorded.</p>}
      </Empty>
    );
  }
  return (
    <div class={away === null ? "loaded" : "loaded stale"} aria-busy={shown !== log}>
      <LogLines key={about} log={shown} tail={tail} />
    </div>
  );
}

function State({ log }: { log: LiveLog }) {
  const stream = log.stream.value;
  const paused = log.pace.value !== "follow";
  const away = stream.kind === "away";
  const words = away
    ? `not connected · again in ${duration(Math.max(1000, stream.againAt - now.value))}`
    : stream.kind === "live"
      ? paused
        ? "paused"
        : "follows"
      : "connecting";
  return (
    <span class={away ? "chip link away" : "chip link"} role="status">
      <span class="lamp" aria-hidden="true" />
      <span>{words}</span>
    </span>
  );
}

function PauseButton({ log }: { log: LiveLog }) {
  const paused = log.pace.value !== "follow";
  return (
    <button type="button" class="button" aria-pressed={paused} onClick={() => turn(log)}>
      {paused ? "Follow" : "Pause"} <kbd>p</kbd>
    </button>
  );
}

function News({ log }: { log: LiveLog }) {
  const came = log.tail.value === null ? 0 : news(log.tail.value);
  return (
    <div class="log-news" role="status">
      {came > 0 && (
        <button type="button" class="button" onClick={() => log.follow()}>
          {count(came)} new · press <kbd>.</kbd>
        </button>
      )}
    </div>
  );
}

function Copies({ filters }: { filters: LogFilters }) {
  const open = session.value?.open === true;
  const then = at.value;
  const query = then === null ? toQuery(filters) : { ...toQuery(filters), to: then, before_seq: Number.MAX_SAFE_INTEGER };
  const url = location.origin + address(then === null ? "/events/stream" : "/events", { query });
  const nats = natsSub(filters);
  return (
    <>
      <CopyButton text={curl(url, open)} label="curl" />
      {then === null && (
        <CopyButton
          text={nats.command}
          label={nats.exact ? "nats sub" : "nats sub (nearest)"}
          title={nats.exact ? nats.command : `${nats.command}: NATS chooses by subject only, so it may show other events`}
        />
      )}
    </>
  );
}
