// The events of a task: each with its permalink, what it brought that was not known before, and its text as stored.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type Task, request } from "../lib/api";
import { copy } from "../lib/clipboard";
import { count, plural } from "../lib/format";
import { indented } from "../lib/json_text";
import { say } from "../lib/messages";
import { useResource } from "../lib/resource";
import { at, href } from "../lib/router";
import { shown } from "../lib/safe_text";
import { roleMissing, session } from "../lib/session";
import { actorWords } from "../lib/log_lines";
import { type Change, type TrailEvent, trail } from "../lib/trail";
import { Icon } from "./Icon";
import { Loaded } from "./States";
import { Moment } from "./Time";

const TRAIL = "GET /tasks/{task_id}/events";
const PAGE = 200;

export function Trail({ task }: { task: Task }) {
  // the session comes with the first answers; what it permits is not known before
  const known = session.value !== null;
  const missing = known ? roleMissing(TRAIL) : null;
  return (
    <section class="card" aria-label="Trail">
      <h2>Trail</h2>
      {missing !== null && <p class="dim">Every event of this task, for the role {missing}.</p>}
      {known && missing === null && <Events task={task} />}
    </section>
  );
}

function Events({ task }: { task: Task }) {
  const pages = useSignal(1);
  const found = useResource(`trail ${task.id}`, (signal) => load(task.id, pages.value, signal));
  useEffect(() => {
    if (found.data.value !== null) found.reload();
  }, [task.seq, task.lock.state, pages.value]);
  return (
    <Loaded of={found} rows={4}>
      {({ events, cursor }) => (
        <>
          <ol class="trail">
            {events.filter(wasThere).map((event) => (
              <Item key={event.seq} event={event} taskId={task.id} />
            ))}
          </ol>
          {cursor !== null && (
            <button type="button" class="button more" onClick={() => { pages.value += 1; }}>
              Show more
            </button>
          )}
        </>
      )}
    </Loaded>
  );
}

async function load(id: string, pages: number, signal: AbortSignal): Promise<ReturnType<typeof trail>> {
  const texts: string[] = [];
  let found = trail(texts);
  while (texts.length < pages) {
    const query = { limit: PAGE, cursor: found.cursor };
    const answer = await request("GET", "/tasks/{task_id}/events", { path: { task_id: id }, query, signal });
    texts.push(await answer.text());
    found = trail(texts);
    if (found.cursor === null) break;
  }
  return found;
}

/** Whether it had happened at the moment that is shown. */
function wasThere(event: TrailEvent): boolean {
  const then = at.value;
  if (then === null) return true;
  return /^\d+$/.test(then) ? event.seq <= Number(then) : !(Date.parse(event.time) > Date.parse(then));
}

function Item({ event, taskId }: { event: TrailEvent; taskId: string }) {
  const open = useSignal(false);
  const news = event.changes.filter((one) => one.news).length;
  const toggle = (toggled: { currentTarget: HTMLDetailsElement }) => {
    open.value = toggled.currentTarget.open;
  };
  return (
    <li>
      <a class="mono seq" href={href(`/log/${event.seq}`)} title="this event in the log">
        {count(event.seq)}
      </a>
      <Moment at={event.time} />
      <span class="event">{named(event)}</span>
      <bdi class="tells">{shown(event.words)}</bdi>
      <span class="who dim">{shown(actorWords(event.actor))}</span>
      <a class="then" href={href(`/tasks/${taskId}`, { at: event.seq })} title="the task as of then">
        <Icon name="clock" />
        <span class="off-screen">the task as of {event.seq}</span>
      </a>
      <details onToggle={toggle}>
        <summary>
          {news === 0 ? "as before" : plural(news, "field")}
          <span class="off-screen"> of event {event.seq}</span>
        </summary>
        {open.value && <Data event={event} />}
      </details>
    </li>
  );
}

function Data({ event }: { event: TrailEvent }) {
  const same = event.changes.filter((one) => !one.news);
  const copied = async () => {
    const done = await copy(event.raw);
    say(done ? "Copied." : "The browser did not let it be copied.", done ? "good" : "bad");
  };
  return (
    <div class="event-data">
      <dl class="changes">
        {event.changes.filter((one) => one.news).map((one) => (
          <Difference key={one.name} change={one} />
        ))}
      </dl>
      {same.length > 0 && <p class="dim">As before: {same.map((one) => shown(one.name)).join(", ")}.</p>}
      <details>
        <summary>JSON</summary>
        <button type="button" class="bare" onClick={() => void copied()}>
          <Icon name="copy" /> Copy
        </button>
        <pre tabIndex={0} aria-label={`event ${event.seq} as JSON`}>
          {indented(event.raw).split("\n").map(shown).join("\n")}
        </pre>
      </details>
    </div>
  );
}

function Difference({ change: { name, before, after } }: { change: Change }) {
  return (
    <div>
      <dt>{shown(name)}</dt>
      <dd class="mono">
        {before !== null && (
          <>
            <del>{shown(before)}</del> <span aria-hidden="true">→</span>{" "}
          </>
        )}
        <ins>{shown(after)}</ins>
      </dd>
    </div>
  );
}

const LOCKS: ReadonlySet<string> = new Set(["granted", "refused", "released"]);

function named(event: TrailEvent): string {
  const word = LOCKS.has(event.event) ? `lock ${event.event}` : event.event.replaceAll("-", " ");
  return event.attempt === null ? word : `${word} #${event.attempt}`;
}
