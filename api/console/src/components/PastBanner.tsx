// The past is framed and named: which event, when, how long ago; and the way back.
import { useEffect } from "preact/hooks";
import { lastSeq } from "../lib/api";
import { count, dayTime } from "../lib/format";
import { shortcut } from "../lib/keys";
import { machineOpen, momentLog, returnToLive, seqThen, useMomentLog } from "../lib/moment";
import { at, comparing, go, here } from "../lib/router";
import { shown } from "../lib/safe_text";

export function PastBanner() {
  const { error } = useMomentLog();
  const past = at.value !== null;
  useEffect(() => (past ? shortcut({ keys: "Escape", what: "return to live", run: returnToLive }) : undefined), [past]);
  if (!past) return null;
  return (
    <div class="past-banner">
      <p role="status">
        <strong>As of {seqThen.value === null ? shown(at.value ?? "") : count(seqThen.value)}</strong>
        {error.value === null ? <When /> : <span> · {error.value.message}</span>}
      </p>
      <label class="check">
        <input type="checkbox" checked={comparing.value} onChange={(event) => compare(event.currentTarget.checked)} />
        Compare with now
      </label>
      {!machineOpen.value && (
        <button type="button" class="button" onClick={open}>
          Time machine
        </button>
      )}
      <button type="button" class="button first" onClick={returnToLive}>
        Return to live
      </button>
    </div>
  );
}

function open() {
  machineOpen.value = true;
}

function compare(on: boolean): void {
  go(here({ compare: on ? "now" : null }), { replace: true });
}

function When() {
  const log = momentLog.value;
  if (log === null) return null;
  const behind = Math.max(lastSeq.value, log.last?.seq ?? 0) - (seqThen.value ?? 0);
  return (
    <>
      {log.at === null ? <span> · before the first event</span> : <Time at={log.at.at} />}
      <span class="number"> · {behind === 0 ? "the last event" : `${count(behind)} ${behind === 1 ? "event" : "events"} ago`}</span>
    </>
  );
}

function Time({ at: time }: { at: string }) {
  return (
    <>
      {" "}
      · <time dateTime={time}>{dayTime(new Date(time))}Z</time>
    </>
  );
}
