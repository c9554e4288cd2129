// The overview of the past: locks follow from the log; what the log does not hold is named, not filled in.
import { get } from "../lib/api";
import { count } from "../lib/format";
import { mostContended } from "../lib/locks";
import { useMoment } from "../lib/resource";
import { shown } from "../lib/safe_text";
import { Link } from "./Link";
import { Page } from "./Page";

const MOST = 100;

async function load(then: string | null, signal: AbortSignal) {
  const found = await get("/locks", { query: { limit: MOST, at: then }, signal });
  const open = mostContended(found.items).filter((one) => one.holders.length + one.waiters.length > 0);
  return { open, more: found.next_cursor != null };
}

export function OverviewThen() {
  const found = useMoment("overview then", load, 0);
  return (
    <Page kind="overview" title="Overview" of={found} rows={4} total={() => "what the log tells of that moment"}>
      {({ open, more }) => (
        <>
          <section class="card" aria-label="Locks">
            <h2>Locks</h2>
            {open.length === 0 && <p class="calm">Nothing was held, and nothing waited.</p>}
            <ul class="tally">
              {open.map((one) => (
                <li key={one.workspace}>
                  <Link to={`/locks/${encodeURIComponent(one.workspace)}`}>{shown(one.workspace)}</Link>
                  <b class="number">
                    {count(one.holders.length)} held · {count(one.waiters.length)} waiting
                  </b>
                </li>
              ))}
            </ul>
            {more && <p class="dim">Of the first {MOST} workspaces by name; there are more.</p>}
          </section>
          <section class="card" aria-label="Not known of the past">
            <h2>Not known of the past</h2>
            <p>
              Runners and their heartbeats, what needed a person, how far readers were behind, the room of the log and dead letters are
              not in the log. The tasks of then are in <Link to="/tasks">the list of tasks</Link>.
            </p>
          </section>
        </>
      )}
    </Page>
  );
}
