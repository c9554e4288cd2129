import type { Schemas } from "../lib/api";
import { count } from "../lib/format";
import { href } from "../lib/router";
import { shown } from "../lib/safe_text";
import { Moment } from "./Time";

type Event = Schemas["EventRead"];

/** The events of a task, oldest first; each sequence leads to the task as of then. */
export function Trail({ events, taskId }: { events: readonly Event[]; taskId: string }) {
  return (
    <ol class="trail">
      {events.map((event) => (
        <li key={event.seq}>
          <a class="mono" href={href(`/tasks/${taskId}`, { at: event.seq })} title="the task as of then">
            {count(event.seq)}
          </a>
          <Moment at={event.time} />
          <span class="event">{named(event)}</span>
          <span class="dim">{shown(event.actor)}</span>
          <details>
            <summary>data</summary>
            <pre tabIndex={0} aria-label={`data of ${event.seq}`}>{shownJson(event.data)}</pre>
          </details>
        </li>
      ))}
    </ol>
  );
}

const LOCKS: ReadonlySet<string> = new Set(["granted", "refused", "released"]);

function named(event: Event): string {
  const word = LOCKS.has(event.event) ? `lock ${event.event}` : event.event.replaceAll("-", " ");
  return event.attempt === null ? word : `${word} #${event.attempt}`;
}

function shownJson(data: unknown): string {
  return JSON.stringify(data, null, 2)
    .split("\n")
    .map(shown)
    .join("\n");
}
