// The filters of the log in the URL, and the same question for other programs.
import { quoted } from "./format";
import type { EventName, Kind } from "./log_lines";
import type { Params } from "./router";

export const KINDS: Readonly<Record<Kind, readonly EventName[]>> = {
  task: [
    "created",
    "dispatched",
    "queued",
    "running",
    "succeeded",
    "failed",
    "cancel-requested",
    "canceled",
    "submit-failed",
    "lock-release-requested",
    "asked",
    "answered",
  ],
  lock: ["granted", "refused", "released"],
  workspace: ["registered", "removed"],
};

export interface LogFilters {
  kind: Kind | null;
  event: readonly EventName[];
  task_id: string | null;
  workspace: string | null;
  actor: string | null;
}

/** Of the URL; what it has of no kind or event is left out. */
export function logFilters(query: URLSearchParams): LogFilters {
  const kind = query.get("kind");
  const known = new Set<string>(Object.values(KINDS).flat());
  return {
    kind: kind !== null && Object.hasOwn(KINDS, kind) ? (kind as Kind) : null,
    event: [...new Set(query.getAll("event"))].filter((one): one is EventName => known.has(one)),
    task_id: query.get("task_id") || null,
    workspace: query.get("workspace") || null,
    actor: query.get("actor") || null,
  };
}

/** For the address of the page. */
export function toParams(filters: LogFilters): Params {
  return { ...filters };
}

/** The parameters of the API's routes. */
export function toQuery(filters: LogFilters): Record<string, string | readonly string[] | null> {
  const { kind, event, ...others } = filters;
  return { ...others, event: event.length > 0 || kind === null ? event : KINDS[kind] };
}

export function isFiltered(filters: LogFilters): boolean {
  return filters.event.length > 0 || [filters.kind, filters.task_id, filters.workspace, filters.actor].some((one) => one !== null);
}

export interface NatsCommand {
  command: string;
  /** NATS chooses by subject only, and may show more or less than the page. */
  exact: boolean;
}

/** `nats sub` with the subject that is nearest to the filters. */
export function natsSub(filters: LogFilters): NatsCommand {
  const [event = "*", ...others] = filters.event;
  const kinds = new Set(filters.event.map(kindOfName));
  const kind = filters.kind ?? (kinds.size === 1 ? [...kinds][0] : undefined) ?? null;
  const name = others.length === 0 ? event : "*";
  let subject = kind === null ? "towpath.>" : `towpath.${kind}.*.${name}`;
  let exact = others.length === 0 && filters.actor === null;
  if (filters.task_id !== null) {
    subject = `towpath.task.${filters.task_id}.${kind === "task" ? name : "*"}`;
    exact &&= kind === "task"; // events of its lock are under the workspace
  } else if (filters.workspace !== null) {
    const of = kind === "workspace" ? "workspace" : "lock";
    subject = `towpath.${of}.${filters.workspace}.${kind === of ? name : "*"}`;
    exact &&= kind === of; // events of its tasks are under the tasks
  }
  return { command: `nats sub ${quoted(subject)}`, exact };
}

/** `curl` of the stream at `url`; with a token from the environment unless the API is open. */
export function curl(url: string, open: boolean): string {
  const token = open ? "" : '-H "Authorization: Bearer $TOWPATH_TOKEN" ';
  return `curl -N ${token}'${url.replaceAll("'", "%27")}'`;
}

function kindOfName(event: EventName): Kind {
  return KINDS.task.includes(event) ? "task" : KINDS.lock.includes(event) ? "lock" : "workspace";
}
