// One event of the log, under a link that stays: what it says, its JSON as the API has it, and what is around it.
import { useEffect } from "preact/hooks";
import { CopyButton } from "../components/CopyButton";
import { Facts } from "../components/Facts";
import { Link, TaskLink } from "../components/Link";
import { Empty, Loaded } from "../components/States";
import { Moment } from "../components/Time";
import { lastSeq, request } from "../lib/api";
import { count } from "../lib/format";
import { indented } from "../lib/json_text";
import { shortcut } from "../lib/keys";
import { seqThen } from "../lib/moment";
import { type LogEvent, actorWords, lineOf, named } from "../lib/log_lines";
import { useResource } from "../lib/resource";
import { go, href } from "../lib/router";
import { shown, visible } from "../lib/safe_text";
import { roleMissing, session } from "../lib/session";
import { loadTitles } from "../lib/titles";
import type { PageProps } from "../pages";

const EVENT = "GET /events/{seq}";
/** An event never changes, but the log may be replaced by an older backup. */
const REFRESH_SECONDS = 60;

interface Found {
  event: LogEvent;
  /** The answer as it came: numbers in it may be larger than JavaScript's. */
  text: string;
  title: string;
}

async function load(seq: string, signal: AbortSignal): Promise<Found> {
  const text = await (await request("GET", "/events/{seq}", { path: { seq }, signal })).text();
  const event = JSON.parse(text) as LogEvent;
  const id = event.task_id;
  return { event, text, title: id === null ? "" : ((await loadTitles([id], signal)).get(id) ?? "") };
}

export function LogEventPage({ params }: PageProps) {
  const seq = params["seq"] ?? "";
  const number = /^\d{1,16}$/.test(seq) ? Number(seq) : null;
  const then = seqThen.value;
  const missing = session.value === null ? null : roleMissing(EVENT);
  const later = then !== null && number !== null && number > then;
  return (
    <article class="page log-event">
      <header class="page-head">
        <p class="crumbs">
          <Link to="/log">Log</Link> / <span class="mono">{number === null ? shown(seq) : count(number)}</span>
        </p>
        {number !== null && <Steps seq={number} />}
      </header>
      {missing !== null ? (
        <Empty page title={`The log needs the role ${missing}`} />
      ) : later ? (
        <Empty page title="This event came after the moment that is shown">
          <p>
            <Link to={`/log/${seq}`} params={{ at: null }}>
              Show it
            </Link>
          </p>
        </Empty>
      ) : (
        session.value !== null && <Event key={seq} seq={seq} />
      )}
    </article>
  );
}

function Steps({ seq }: { seq: number }) {
  const end = seqThen.value ?? lastSeq.value;
  const [previous, next] = [seq > 1 ? seq - 1 : null, end === 0 || seq < end ? seq + 1 : null];
  useEffect(() => {
    const to = (other: number | null) => () => {
      if (other !== null) go(href(`/log/${other}`));
    };
    const ends = [
      shortcut({ keys: "k", what: "previous event", run: to(previous) }),
      shortcut({ keys: "j", what: "next event", run: to(next) }),
    ];
    return () => ends.forEach((end) => end());
  }, [previous, next]);
  return (
    <nav class="steps" aria-label="Other events">
      {previous === null ? <span class="dim">the first event</span> : <Link to={`/log/${previous}`}>← {count(previous)}</Link>}
      {next === null ? <span class="dim">the last event</span> : <Link to={`/log/${next}`}>{count(next)} →</Link>}
    </nav>
  );
}

function Event({ seq }: { seq: string }) {
  const found = useResource(`event ${seq}`, (signal) => load(seq, signal), REFRESH_SECONDS);
  return (
    <>
      {found.data.value === null && <h1 class="off-screen">Event {shown(seq)}</h1>}
      <Loaded of={found}>{(data) => <Content {...data} />}</Loaded>
    </>
  );
}

function Content({ event, text, title }: Found) {
  const line = lineOf(event);
  const { task_id: task, workspace } = event;
  return (
    <>
      <div class="title-row">
        <h1 tabIndex={-1}>{named(line)}</h1>
        <span class="dim">
          <Moment at={event.time} /> by <bdi>{shown(actorWords(event.actor))}</bdi>
        </span>
      </div>
      <p class="why" dir="auto">
        {shown(line.words)}
      </p>
      <div class="columns">
        <section class="card" aria-label="JSON">
          <div class="output-tools">
            <h2>JSON</h2>
            <CopyButton text={text} label="copy" title="copy as the API has it" />
          </div>
          <pre class="json" tabIndex={0} dir="ltr">
            {visible(indented(text))}
          </pre>
        </section>
        <aside class="card" aria-label="Facts">
          <Facts
            rows={[
              ["Sequence", <span class="mono">{event.seq}</span>],
              ["Task", task && <TaskLink id={task} title={title} />],
              ["Attempt", event.attempt],
              ["Workspace", workspace && <Link to={`/locks/${encodeURIComponent(workspace)}`}>{shown(workspace)}</Link>],
              ["Version", event.version],
              ["As of then", <AsOfThen event={event} />],
              ["Around it", <Around event={event} />],
            ]}
          />
        </aside>
      </div>
    </>
  );
}

/** The pages at the moment after this event. */
function AsOfThen({ event: { seq, task_id: task, workspace } }: { event: LogEvent }) {
  return (
    <ul class="links">
      {task !== null && (
        <li>
          <Link to={`/tasks/${task}`} params={{ at: seq }}>
            the task
          </Link>
        </li>
      )}
      <li>
        <Link to={workspace === null ? "/locks" : `/locks/${encodeURIComponent(workspace)}`} params={{ at: seq }}>
          {workspace === null ? "all locks" : "its locks"}
        </Link>
      </li>
      <li>
        <Link to="/log" params={{ at: seq }}>
          the log
        </Link>
      </li>
    </ul>
  );
}

function Around({ event: { task_id: task, workspace, event } }: { event: LogEvent }) {
  return (
    <ul class="links">
      {task !== null && (
        <li>
          <Link to="/log" params={{ task_id: task }}>
            all of this task
          </Link>
        </li>
      )}
      {workspace !== null && (
        <li>
          <Link to="/log" params={{ workspace }}>
            all of this workspace
          </Link>
        </li>
      )}
      <li>
        <Link to="/log" params={{ event }}>
          all {event.replaceAll("-", " ")}
        </Link>
      </li>
    </ul>
  );
}
