// What the published types must say, and what they must refuse. It is compiled, never run: a line below
// `@ts-expect-error` that compiles is an error of the compiler's.

import type {
  FailedData,
  HeartbeatAnswer,
  LockEntry,
  PageEventRead,
  Report,
  Status,
  Submission,
  TaskRead,
  TaskSpec,
  TowpathEvent,
} from "../../infra/contracts/towpath.d.ts";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** `any` is the same as nothing else. */
function same<A, B>(_: Same<A, B>): void {}

/** The data follows from `type` and from `event`, and every event is told apart. */
export function inWords(event: TowpathEvent): string {
  switch (event.type) {
    case "towpath.task.created.v1":
      return event.data.command.join(" ");
    case "towpath.task.dispatched.v1":
      return `${event.task_id} attempt ${event.data.attempt}`;
    case "towpath.task.queued.v1":
      same<typeof event.data.transport, "http" | "nats">(true);
      return event.data.transport;
    case "towpath.task.running.v1":
      return event.data.started_at;
    case "towpath.task.succeeded.v1":
    case "towpath.task.failed.v1":
      same<typeof event.data.exit_code, number | null>(true);
      return event.data.output_tail ?? "";
    case "towpath.task.cancel-requested.v1":
    case "towpath.task.canceled.v1":
      return event.data.by;
    case "towpath.task.submit-failed.v1":
      return event.data.reason;
    case "towpath.task.lock-release-requested.v1":
      return `${event.data.token}`;
    case "towpath.task.asked.v1":
      same<typeof event.data.choices, string[] | null>(true);
      return event.data.text;
    case "towpath.task.answered.v1":
      same<typeof event.data.cause, "person" | "expired">(true);
      return event.data.choice ?? event.data.text ?? "";
    case "towpath.workspace.registered.v1":
    case "towpath.workspace.removed.v1":
      return event.workspace.toUpperCase();
    case "towpath.lock.granted.v1":
    case "towpath.lock.refused.v1":
      same<typeof event.workspace, string>(true);
      return event.data.mode;
    case "towpath.lock.released.v1":
      return event.data.cause;
    default:
      same<typeof event, never>(true);
      return event;
  }
}

export function byShortName(event: TowpathEvent): FailedData | null {
  if (event.event === "granted") same<typeof event.type, "towpath.lock.granted.v1">(true);
  return event.event === "failed" ? event.data : null;
}

export function notNarrowed(event: TowpathEvent): void {
  // @ts-expect-error: nobody has looked which event it is
  event.data.exit_code;
  // @ts-expect-error: no such event
  if (event.type === "towpath.task.stolen.v1") return;
  if (event.event === "registered") {
    // @ts-expect-error: a registration is about no task
    event.task_id.length;
  }
}

export function answers(page: PageEventRead, task: TaskRead, locks: LockEntry, beat: HeartbeatAnswer): void {
  same<typeof page.items, TowpathEvent[]>(true);
  same<TaskRead["status"], Status>(true);
  same<TaskRead["exit_code"], number | null>(true);
  same<typeof locks.holders extends (infer One)[] ? keyof One & "token" : never, "token">(true);
  same<HeartbeatAnswer["wanted"][number]["wanted"], "run" | "stop">(true);
  // @ts-expect-error: a status that no task has
  if (task.status === "success") return;
  // @ts-expect-error: it is null until it has ended
  task.exit_code.toFixed();
  // @ts-expect-error: no such member
  beat.wanted[0]?.why;
}

export const specs: TaskSpec[] = [
  { command: ["make", "all"], env: { CC: "clang" }, labels: { team: "web" }, lock_mode: "shared" },
  // @ts-expect-error: a command is a list
  { command: "make all" },
  // @ts-expect-error: nothing to run
  { title: "nothing" },
  // @ts-expect-error: values of env are strings
  { command: ["make"], env: { JOBS: 4 } },
  // @ts-expect-error: no such mode
  { command: ["make"], lock_mode: "greedy" },
];

export const reports: Report[] = [
  { status: "running", attempt: 1, runner_id: "host-1", pid: 4711 },
  { status: "success" },
  // @ts-expect-error: the control plane's to say, not a runner's
  { status: "submit-failed" },
  // @ts-expect-error: a number
  { status: "failed", exit_code: "3" },
];

export function token(submission: Submission): number {
  // @ts-expect-error: null where no lock is needed
  submission.workspace.lock_token;
  return submission.workspace?.lock_token ?? 0;
}
