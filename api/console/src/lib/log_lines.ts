// An event as a line of the log. Only what is shown is kept: its data may be large, and the page of the event has it.
import type { Schemas } from "./api";
import { commandLine } from "./format";
import type { State } from "./status";

export type LogEvent = Schemas["EventRead"];
export type EventName = LogEvent["event"];
export type Kind = "task" | "lock" | "workspace";

export interface Line {
  seq: number;
  id: string;
  kind: Kind;
  event: EventName;
  at: string;
  actor: string;
  taskId: string | null;
  workspace: string | null;
  attempt: number | null;
  /** What the event tells beyond its name. */
  words: string;
}

const WORDS_CHARS = 200;
type Data = Readonly<Record<string, unknown>>;

export function kindOf(event: Pick<LogEvent, "type">): Kind {
  const kind = event.type.split(".")[1];
  return kind === "lock" || kind === "workspace" ? kind : "task";
}

export function lineOf(event: LogEvent): Line {
  return {
    seq: event.seq,
    id: event.id,
    kind: kindOf(event),
    event: event.event,
    at: event.time,
    actor: event.actor,
    taskId: event.task_id,
    workspace: event.workspace,
    attempt: event.attempt,
    words: wordsOf(event).slice(0, WORDS_CHARS),
  };
}

/** "lock granted", "cancel requested". */
export function named(line: Pick<Line, "kind" | "event">): string {
  const word = line.event.replaceAll("-", " ");
  return line.kind === "task" ? word : `${line.kind} ${word}`;
}

/** An actor for people: a runner whose id begins with that word is not called so twice; `api` is a caller without a token. */
export function actorWords(actor: string): string {
  return actor === "api" ? "someone (open API)" : actor.replace(/\brunner:(?=runner-)/g, "");
}

/** The state whose shape an event has; null for those of workspaces. */
export function stateOfEvent(event: EventName): State | null {
  return STATES[event];
}

const STATES: Readonly<Record<EventName, State | null>> = {
  created: "created",
  dispatched: "dispatched",
  queued: "queued",
  running: "running",
  succeeded: "succeeded",
  failed: "failed",
  canceled: "canceled",
  "cancel-requested": "canceled",
  "submit-failed": "submit-failed",
  "lock-release-requested": "waiting",
  asked: "asking",
  answered: "asking",
  granted: "waiting",
  refused: "waiting",
  released: "waiting",
  registered: null,
  removed: null,
};

function text(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}

function list(value: unknown): string[] {
  return Array.isArray(value) ? value.map(text) : [];
}

function joined(...parts: (string | false)[]): string {
  return parts.filter((part) => part !== false && part !== "").join(", ");
}

function scope(paths: unknown, mode: unknown): string {
  const what = list(paths).join(" ") || "whole workspace";
  return mode === "shared" ? `${what} (shared)` : what;
}

function ended(data: Data): string {
  const { reason, exit_code: code } = data;
  const told = typeof code === "number" && text(data["message"]).includes(String(code));
  return joined(reason !== "exit" && text(reason), typeof code === "number" && !told && `exit ${code}`, text(data["message"]));
}

/** What an event tells beyond its name. */
export function wordsOf(event: LogEvent): string {
  const data = event.data as Data;
  const on = text(data["runner_id"]) !== "" && `on ${text(data["runner_id"])}`;
  switch (event.event) {
    case "created":
      return commandLine(list(data["command"]));
    case "dispatched":
      return joined(
        `pool ${text(data["pool"])}`,
        text(data["workspace"]) !== "" && `${text(data["workspace"])}: ${scope(data["lock_paths"], data["lock_mode"])}`,
      );
    case "queued":
      return joined(on, `over ${text(data["transport"])}`);
    case "running":
      return joined(on, text(data["pid"]) !== "" && `pid ${text(data["pid"])}`);
    case "succeeded":
    case "failed":
      return ended(data);
    case "canceled":
    case "submit-failed":
      return joined(on, text(data["reason"]), text(data["message"]));
    case "lock-release-requested":
      return joined(`token ${text(data["token"])}`, text(data["reason"]));
    case "asked":
      return text(data["text"]);
    case "answered":
      return text(data["choice"]) || text(data["text"]) || text(data["cause"]);
    case "granted":
      return joined(`token ${event.seq}`, scope(data["paths"], data["mode"]));
    case "refused":
      return joined(scope(data["paths"], data["mode"]), text(data["reason"]));
    case "released":
      return `after ${text(data["cause"])} at ${text(data["cause_seq"])}`;
    case "registered":
      return text(data["root"]);
    default:
      return text(data["reason"]);
  }
}
