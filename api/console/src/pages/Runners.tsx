// Runners: which are alive, what they hold, when the next one is lost, and which are gone for good.
import { useSignal } from "@preact/signals";
import { PermittedButton } from "../components/Command";
import { ForgetDialog } from "../components/ForgetDialog";
import { Link, TaskLink } from "../components/Link";
import { Columns, Page } from "../components/Page";
import { LeaseRing, RunnerWord } from "../components/Runner";
import { Empty } from "../components/States";
import { Ago } from "../components/Time";
import { get } from "../lib/api";
import { apiNow } from "../lib/clock";
import { useTitleFocus } from "../lib/focus";
import { count, plural } from "../lib/format";
import { useResource } from "../lib/resource";
import { at, place } from "../lib/router";
import { type Runner, countdown, leaseLeft, needyFirst } from "../lib/runners";
import { shown } from "../lib/safe_text";
import { type Titles, loadTitles } from "../lib/titles";

const REFRESH_SECONDS = 2;
const MOST_HELD = 12;
const PAGE = 200;

interface Shown {
  runners: Runner[];
  titles: Titles;
  more: boolean;
}

async function load(signal: AbortSignal): Promise<Shown> {
  const page = await get("/runners", { query: { limit: PAGE }, signal });
  const ids = page.items.flatMap((one) => [...one.running_attempts, ...one.awaiting_operator].slice(0, MOST_HELD).map((held) => held.task_id));
  return { runners: needyFirst(page.items), titles: await loadTitles([...new Set(ids)], signal), more: page.next_cursor != null };
}

export function RunnersPage() {
  return at.value === null ? <Live /> : <NotOfThePast />;
}

function NotOfThePast() {
  return (
    <div class="page runners">
      <h1>Runners</h1>
      <Empty title="Heartbeats are not in the log">
        <p>
          Which runners were alive at another time is not known. What they held then is on <Link to="/locks">the page of locks</Link>.
        </p>
      </Empty>
    </div>
  );
}

function Live() {
  const found = useResource("runners", load, REFRESH_SECONDS);
  const forgetting = useSignal<Runner | null>(null);
  const toTitle = useTitleFocus(forgetting.value !== null);
  const close = (done: boolean) => {
    if (done) toTitle();
    forgetting.value = null;
    found.reload();
  };
  const forget = (one: Runner) => {
    forgetting.value = one;
  };
  return (
    <>
      <Page kind="runners" title="Runners" of={found} rows={4} total={({ runners }) => total(runners)}>
        {(all) => (all.runners.length === 0 ? <NoRunners /> : <Rows {...all} forget={forget} />)}
      </Page>
      {forgetting.value !== null && <ForgetDialog runner={forgetting.value} close={close} />}
    </>
  );
}

function total(runners: readonly Runner[]): string {
  const of = (state: Runner["state"]) => runners.filter((one) => one.state === state).length;
  const parts = (["alive", "suspected", "lost"] as const).filter((state) => state === "alive" || of(state) > 0);
  return parts.map((state) => `${count(of(state))} ${state}`).join(" · ");
}

function Rows({ runners, titles, more, forget }: Shown & { forget: (one: Runner) => void }) {
  const chosen = place.value.query.get("runner");
  return (
    <>
      <table class="table machines runner-table">
        <Columns names={["State", "Runner", "Pools", "Capacity", "Runs", "Outbox"]} commands />
        {runners.map((one) => (
          <tbody key={one.id} class={one.id === chosen ? "chosen" : ""} aria-current={one.id === chosen ? "true" : undefined}>
            <Row runner={one} titles={titles} forget={() => forget(one)} />
            <Notes runner={one} titles={titles} />
          </tbody>
        ))}
      </table>
      {more && <p class="dim left-out">The first {PAGE} by id; there are more.</p>}
    </>
  );
}

interface RowProps {
  runner: Runner;
  titles: Titles;
  forget: () => void;
}

function Row({ runner, titles, forget }: RowProps) {
  return (
    <tr>
      <td>
        <RunnerWord state={runner.state} />
        <span class="countdown dim number">
          {runner.state === "alive" && <LeaseRing left={leaseLeft(runner, apiNow.value)} />}
          {countdown(runner, apiNow.value)}
        </span>
      </td>
      <th scope="row">
        <bdi class="mono">{shown(runner.id)}</bdi>
        <span class="dim under">
          <bdi>{shown(runner.host)}</bdi> · heartbeat <Ago at={runner.last_heartbeat} />
        </span>
      </th>
      <td data-name="pools">
        {runner.pools.map((pool) => (
          <span key={pool} class="label">
            {shown(pool)}
          </span>
        ))}
      </td>
      <td data-name="capacity">
        <CapacityBar used={runner.running_attempts.length} of={runner.capacity} />
      </td>
      <td data-name="runs">
        <Held of={runner.running_attempts} titles={titles} />
      </td>
      <td class="number" data-name="outbox">
        {runner.outbox === null ? <span class="none">–</span> : runner.outbox === 0 ? "empty" : plural(runner.outbox, "report")}
      </td>
      <td class="commands">{runner.state === "lost" && <Forget runner={runner} press={forget} />}</td>
    </tr>
  );
}

function CapacityBar({ used, of }: { used: number; of: number }) {
  const share = of === 0 ? 1 : Math.min(1, used / of);
  return (
    <span class="capacity">
      <svg class={used >= of ? "bar full" : "bar"} viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <rect class="track" width="100" height="8" />
        <rect width={share * 100} height="8" />
      </svg>
      <span class="number">
        {count(used)} of {count(of)}
      </span>
    </span>
  );
}

function Held({ of, titles }: { of: Runner["running_attempts"]; titles: Titles }) {
  if (of.length === 0) return <span class="none">–</span>;
  return (
    <ul class="held">
      {of.slice(0, MOST_HELD).map((one) => (
        <li key={`${one.task_id} ${one.attempt}`}>
          <TaskLink id={one.task_id} title={titles.get(one.task_id) ?? ""} /> <span class="dim number">#{one.attempt}</span>
        </li>
      ))}
      {of.length > MOST_HELD && <li class="dim">and {count(of.length - MOST_HELD)} more</li>}
    </ul>
  );
}

/** What a person has to mend, beneath the row, over the width of the table. */
function Notes({ runner, titles }: { runner: Runner; titles: Titles }) {
  const [twice, kept] = [runner.conflict.length > 0, runner.awaiting_operator.length > 0];
  if (!twice && !kept) return null;
  return (
    <tr class="notes">
      <td colSpan={7}>
        {twice && (
          <p class="note">
            <strong>Several runners use this id</strong>, on {runner.conflict.map((one) => shown(one.host)).join(", ")}: give each its own.
          </p>
        )}
        {kept && (
          <div class="note">
            <strong>Locks wait for an operator.</strong> Make sure that no process of these tasks runs any more, then{" "}
            <Link to="/locks">release them</Link>; after that, the runner can be forgotten.
            <Held of={runner.awaiting_operator} titles={titles} />
          </div>
        )}
      </td>
    </tr>
  );
}

function Forget({ runner, press }: { runner: Runner; press: () => void }) {
  if (runner.awaiting_operator.length > 0) return null; // the note beneath tells what has to come first
  if (runner.running_attempts.length > 0) return <small class="dim">its tasks end first</small>;
  return <PermittedButton operation="DELETE /runners/{runner_id}" label="Forget…" name={`Forget ${shown(runner.id)}`} press={press} />;
}

function NoRunners() {
  return (
    <Empty title="No runner">
      <p>
        <code>towpath up</code> starts one. On another host, with that host's address of NATS:
      </p>
      <pre>{"towpath runner --runner-id host-2 \\\n  --nats-url nats://HOST:4222"}</pre>
    </Empty>
  );
}
