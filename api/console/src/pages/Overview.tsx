// The start page: first what needs a person, each with the way to it; then the figures, each with the list behind it.
import { RunningCard } from "../components/Activity";
import { Contention, DeadLetters, EventRate, Lags, LogRoom, Runners } from "../components/OverviewCards";
import { Link } from "../components/Link";
import { OverviewThen } from "../components/OverviewThen";
import { Page } from "../components/Page";
import { Glyph } from "../components/Status";
import { type Schemas, get } from "../lib/api";
import { count, plural } from "../lib/format";
import { ADD_WORKSPACE, FIRST_TASK, HOLD_PATH } from "../lib/hints";
import { type Attention, KINDS, target } from "../lib/overview";
import { useResource } from "../lib/resource";
import { ROOT, at } from "../lib/router";
import { shown } from "../lib/safe_text";
import { type State, WORD } from "../lib/status";
import { hasPage } from "../pages";

type Overview = Schemas["Overview"];

/** Runners, lags and waits change without an event. */
const REFRESH_SECONDS = 5;

const load = (signal: AbortSignal) => get("/overview", { signal });

export function OverviewPage() {
  return at.value === null ? <Live /> : <OverviewThen />;
}

function Live() {
  const found = useResource("overview", load, { news: () => true, seconds: REFRESH_SECONDS });
  return (
    <Page kind="overview" title="Overview" of={found} rows={8} total={summary}>
      {(overview) => (
        <>
          <NeedsYou items={overview.attention} />
          {isNew(overview) && <Begin />}
          <Strip overview={overview} />
          <div class="figures">
            <RunningCard runs={overview.running} total={overview.tasks?.running ?? null} />
            <Contention of={overview} />
            <EventRate of={overview} />
            <Runners of={overview} />
            <DeadLetters number={overview.dead_letters} />
            <LogRoom bounds={overview.log_room} />
            <Lags of={overview.lags} />
          </div>
        </>
      )}
    </Page>
  );
}

/** Whether no task was ever made here. */
function isNew({ tasks }: Overview): boolean {
  return tasks !== null && Object.values(tasks).every((number) => number === 0);
}

function Begin() {
  return (
    <section class="card begin" aria-labelledby="begin">
      <h2 id="begin">Begin here</h2>
      <p>Run a task from a terminal; it shows here at once:</p>
      <pre>{FIRST_TASK}</pre>
      <p>Let two of them want the same directory: the second one waits, and this page shows for whom.</p>
      <pre>{`${ADD_WORKSPACE}\n${HOLD_PATH} &\ntowpath run --workspace shop --path src -- echo my turn`}</pre>
    </section>
  );
}

function summary({ attention }: Overview): string {
  return attention.length === 0 ? "nothing needs you" : `${plural(attention.length, "thing")} to look at`;
}

function NeedsYou({ items }: { items: readonly Attention[] }) {
  return (
    <section class="card needs" aria-labelledby="needs">
      <h2 id="needs">
        Needs you <span class="number dim">{count(items.length)}</span>
      </h2>
      {items.length === 0 ? (
        <p class="calm">
          <Glyph state="succeeded" /> Nothing: no lost runner holds a lock, nothing waits long, nothing failed in the last hour.
        </p>
      ) : (
        <ul>
          {items.map((item, index) => (
            <Item key={`${item.kind} ${item.link} ${index}`} item={item} id={`needs-${index}`} />
          ))}
        </ul>
      )}
    </section>
  );
}

const SIGN: Record<"bad" | "blocked", State> = { bad: "submit-failed", blocked: "waiting" };

function Item({ item, id }: { item: Attention; id: string }) {
  const { family, verb } = KINDS[item.kind];
  return (
    <li class={`need ${family}-edge`}>
      <Glyph state={item.kind === "open-questions" ? "asking" : SIGN[family === "bad" ? "bad" : "blocked"]} />
      <span class="sentence" id={id} dir="auto">
        {shown(item.sentence)}
      </span>
      <Way item={item} id={id} words={verb} />
    </li>
  );
}

function Way({ item, id, words }: { item: Attention; id: string; words: string }) {
  const to = target(item.link);
  if (to === null) return null;
  const about = { class: "button small", "aria-describedby": id };
  if (!("page" in to) || !hasPage(to.page)) {
    return (
      <a {...about} href={ROOT + item.link} target="_blank" rel="noreferrer">
        {words}
      </a>
    );
  }
  const names = [...new Set(to.query.keys())];
  return (
    <Link {...about} to={to.page} params={Object.fromEntries(names.map((name) => [name, to.query.getAll(name)]))}>
      {words}
    </Link>
  );
}

/** The states, each with the list that it counts. */
function Strip({ overview }: { overview: Overview }) {
  const { tasks, locks } = overview;
  const figures: [State, string, number | null | undefined, Record<string, string | string[]>][] = [
    ["running", WORD.running, tasks?.running, { status: "running" }],
    ["queued", WORD.queued, tasks?.queued, { status: "queued" }],
    ["waiting", "wait for a lock", locks.waiting, { lock: "waiting" }],
    ["asking", "ask a person", overview.open_questions, { asking: "true" }],
    ["failed", "failed in 1 h", overview.failed_last_hour, { status: ["failed", "submit-failed"], ended: "<1h" }],
    ["succeeded", WORD.succeeded, tasks?.succeeded, { status: "succeeded" }],
    ["canceled", WORD.canceled, tasks?.canceled, { status: "canceled" }],
    ["created", "not dispatched", tasks?.created, { status: "created" }],
  ];
  return (
    <ul class="strip" aria-label="Tasks by state">
      {figures.map(([state, words, number, params]) => (
        <li key={state}>
          <Link to="/tasks" params={params} class={number ? "" : "nil"}>
            <b class="number">{number == null ? "?" : count(number)}</b>
            <span>
              <Glyph state={state} />
              {words}
            </span>
          </Link>
        </li>
      ))}
    </ul>
  );
}
