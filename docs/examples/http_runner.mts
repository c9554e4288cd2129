// A runner over plain HTTP: takes what HOST_RUNNER_URL pushes, keeps the start gate and the lease, reports.
//
//     TOWPATH_URL=http://127.0.0.1:8000 node http_runner.mjs PORT RUNNER_ID
//
// Needs Linux and Node 20, no packages; the types are what `/schemas/towpath.d.ts` serves, and `tsc` makes the
// .mjs. TOWPATH_RUNNER_TOKEN guards the intake, API_RUNNER_CALLBACK_TOKEN is what the API asks runners for. It
// keeps nothing on disk: killed, its attempts end as `runner-lost`. `towpath runner` does all that.

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, timingSafeEqual } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type {
  Accepted,
  Heartbeat,
  HeartbeatAnswer,
  Pauses,
  Problem,
  Report,
  Submission,
  TaskRead,
} from "../../infra/contracts/towpath.d.ts";

const [PORT, RUNNER_ID] = process.argv.slice(2) as [string, string];
const INSTANCE = randomBytes(8).toString("hex"); // it keeps nothing on disk, so each process is a new one
const API = process.env.TOWPATH_URL ?? "http://127.0.0.1:8000";
const INTAKE_TOKEN = process.env.TOWPATH_RUNNER_TOKEN;
const CALLBACK_TOKEN = process.env.API_RUNNER_CALLBACK_TOKEN;
const LEASE_SECONDS = Number(process.env.TOWPATH_LEASE_SECONDS ?? "15");
const BEAT_SECONDS = LEASE_SECONDS / 3;
const GRACE_SECONDS = 5;
const ANSWER_SECONDS = 30;
const TAIL_BYTES = 8192;
const BODY_BYTES = 1 << 20;
const REMEMBERED = 1000;
const UNREAD_SECONDS = 600;

type End = Omit<Report, "attempt" | "runner_id" | "instance">;
type Why = "canceled" | "timeout" | "lease" | "stopped";
type Answer = { ok: true; task: TaskRead } | { ok: false; problem: Problem };

/** Seconds on a clock that goes on while the host sleeps. */
function boottime(): number {
  return Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
}

/** One POST: status and body, or null if no whole answer came in time. Redirects are not followed. */
async function post(url: string, token: string | null | undefined, body: object, seconds: number) {
  const headers = { "Content-Type": "application/json", ...(token ? { "X-Runner-Token": token } : {}) };
  const init: RequestInit = { method: "POST", headers, body: JSON.stringify(body), redirect: "manual" };
  try {
    const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(seconds * 1000) });
    return { code: answer.status, text: await answer.text(), wait: Number(answer.headers.get("Retry-After")) };
  } catch {
    return null;
  }
}

/** The right to let processes run: `LEASE_SECONDS` from the sending of the last heartbeat that was answered. */
const lease = {
  until: 0,
  held: () => boottime() < lease.until,
};

class Attempt {
  status: Report["status"] = "queued";
  over = false;
  #why: Why | null = null;
  #process: ChildProcess | null = null;
  #exited = false;

  constructor(readonly given: Submission) {}

  /** From its acceptance until its end has been answered. */
  async live(): Promise<void> {
    const permitted = await this.#gate();
    const end = permitted === true ? await this.#work() : permitted;
    if (end !== null) {
      this.status = end.status;
      await this.#tell(end);
    }
    this.over = true;
  }

  /** Ends what runs, or keeps it from being started. The first reason counts. */
  async stop(why: Why): Promise<void> {
    if (this.#why !== null || this.over) return;
    this.#why = why;
    if (this.#process === null) return;
    if (why !== "lease") {
      this.#kill("SIGTERM");
      const deadline = boottime() + GRACE_SECONDS;
      while (boottime() < deadline && this.#left().length > 0 && lease.held()) await sleep(100);
    }
    while (this.#left().length > 0) {
      this.#kill("SIGKILL"); // again for what was forked meanwhile
      await sleep(50);
    }
  }

  /** Reports `running` until it is known whether the process may start: true, or the end there is to report. */
  async #gate(): Promise<true | End | null> {
    for (;;) {
      while (!lease.held() && this.#why === null) await sleep(100);
      if (this.#why !== null) return this.#stopped();
      const answer = await this.#tell({ status: "running" });
      if (!answer.ok) return refused(answer.problem);
      const { status, attempt, runner_id, cancel_requested } = answer.task;
      if (status !== "running" || attempt !== this.given.attempt || runner_id !== RUNNER_ID) return null;
      if (cancel_requested) this.#why ??= "canceled";
      if (this.#why !== null) return this.#stopped();
      if (lease.held()) return true; // else it may be over by now: ask again
    }
  }

  #stopped(): End {
    switch (this.#why) {
      case "canceled":
        return { status: "canceled", message: "nothing of it is left" };
      case "timeout":
        return { status: "failed", reason: "timeout", message: `longer than ${this.given.timeout_seconds} s` };
      default:
        return { status: "failed", reason: "runner-lost", message: `everything was killed: ${this.#why}` };
    }
  }

  async #work(): Promise<End> {
    this.status = "running";
    const { command, workspace, timeout_seconds: limit } = this.given;
    const started = spawn(command[0]!, command.slice(1), {
      ...(workspace ? { cwd: workspace.root } : {}),
      env: { PATH: process.env.PATH, ...this.given.env, ...this.#variables() },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#process = started;
    let tail = Buffer.alloc(0);
    for (const output of [started.stdout, started.stderr])
      output.on("data", (more: Buffer) => (tail = Buffer.concat([tail, more]).subarray(-TAIL_BYTES)));
    if (limit) void this.#endAfter(limit);
    const closed = new Promise((resolve) => started.once("close", resolve));
    const exit = await new Promise<number | string | Error>((resolve) => {
      started.once("error", resolve);
      started.once("exit", (code, signal) => resolve(code ?? signal ?? "unknown"));
    });
    this.#exited = true;
    while (this.#left().length > 0) {
      if (this.#why === null) this.#kill("SIGKILL"); // nothing outlives the command
      await sleep(50);
    }
    if (!(exit instanceof Error)) await closed;
    const more: Partial<End> = { finished_at: new Date().toISOString(), output_tail: this.#redacted(tail) };
    if (this.#why !== null) return { ...this.#stopped(), ...more };
    if (exit instanceof Error) return { status: "failed", reason: "error", message: exit.message, ...more };
    if (typeof exit === "string") return { status: "failed", reason: "killed", message: exit, ...more };
    return { status: exit === 0 ? "succeeded" : "failed", exit_code: exit, ...more };
  }

  /** Ends what has just been started after `limit` seconds. A timeout that pauses moves by its questions' time. */
  async #endAfter(limit: number): Promise<void> {
    const due = boottime() + limit;
    for (let deadline = due, unreadAt: number | null = null; !this.#exited; ) {
      const now = boottime();
      if (now < deadline) {
        await sleep(1000 * Math.min(deadline - now, 1));
        continue;
      }
      const pauses = this.given.timeout_pauses ? await this.#pauses() : { ended_seconds: 0, open: false };
      if (pauses === null) {
        unreadAt ??= now; // it may be waiting for a person
        if (now >= unreadAt + UNREAD_SECONDS) return this.stop("timeout");
        deadline = now + 1;
        continue;
      }
      unreadAt = null;
      const latest = due + pauses.ended_seconds + (pauses.open ? (pauses.open_at_most_seconds ?? Infinity) : 0);
      if (now >= latest) return this.stop("timeout");
      deadline = pauses.open ? Math.min(latest, now + 1) : latest;
    }
  }

  /** For how long questions of this attempt were open, as the API knows it from then on; null: unknown. */
  async #pauses(): Promise<Omit<Pauses, "attempt"> | null> {
    const { status_callback_url: url, status_callback_token: token } = this.given;
    const headers: Record<string, string> = token ? { "X-Runner-Token": token } : {};
    const signal = AbortSignal.timeout(ANSWER_SECONDS * 1000);
    try {
      const answer = await fetch(url!.replace(/\/status$/, "/pauses"), { headers, redirect: "manual", signal });
      return answer.ok ? ((await answer.json()) as Pauses) : null;
    } catch {
      return null;
    }
  }

  #variables(): Record<string, string> {
    const { task_id, attempt, workspace } = this.given;
    const always = { TOWPATH_TASK_ID: task_id, TOWPATH_ATTEMPT: `${attempt}`, TOWPATH_RUNNER_ID: RUNNER_ID };
    if (!workspace) return always;
    return { ...always, TOWPATH_WORKSPACE: workspace.id, TOWPATH_LOCK_TOKEN: `${workspace.lock_token}` };
  }

  /** Everything that was started for this attempt, also what went into a session of its own. */
  #left(): number[] {
    const { TOWPATH_TASK_ID, TOWPATH_ATTEMPT, TOWPATH_RUNNER_ID } = this.#variables();
    const marks = [`TOWPATH_TASK_ID=${TOWPATH_TASK_ID}`, `TOWPATH_ATTEMPT=${TOWPATH_ATTEMPT}`];
    marks.push(`TOWPATH_RUNNER_ID=${TOWPATH_RUNNER_ID}`);
    return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
      try {
        const set = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
        return pid !== process.pid && marks.every((mark) => set.includes(mark));
      } catch {
        return false; // it has ended, or is somebody else's
      }
    });
  }

  #kill(signal: NodeJS.Signals): void {
    for (const pid of this.#left()) {
      try {
        process.kill(pid, signal);
      } catch {
        continue; // it has ended meanwhile
      }
    }
  }

  #redacted(output: Buffer): string {
    const declared = (this.given.secret_names ?? []).map((name) => this.given.env?.[name] ?? "");
    const secrets = [...declared, this.given.status_callback_token ?? ""];
    const known = secrets.filter((one) => one.length > 2);
    return known.reduce((text, secret) => text.replaceAll(secret, "***"), output.toString("utf8"));
  }

  /** Says it until it is answered. */
  async #tell(said: End): Promise<Answer> {
    const { status_callback_url: url, status_callback_token: token, attempt } = this.given;
    const report: Report = { ...said, attempt, runner_id: RUNNER_ID, instance: INSTANCE };
    for (let pause = 0.5; ; pause = Math.min(2 * pause, 15)) {
      const answer = await post(url!, token, report, ANSWER_SECONDS);
      if (answer?.code === 200) return { ok: true, task: JSON.parse(answer.text) as TaskRead };
      if ([400, 413, 422].includes(answer?.code ?? 0) && (report.output_tail || report.message)) {
        delete report.output_tail; // an end must not get lost over its text
        delete report.message;
        continue;
      }
      const problem = answer === null ? null : asProblem(answer.code, answer.text);
      if (problem !== null && decides(problem)) return { ok: false, problem };
      console.error(`${report.status} not taken yet: ${problem?.detail ?? "no answer"}`);
      await sleep(Math.max(pause, answer?.wait || 0) * 1000);
    }
  }
}

function asProblem(status: number, text: string): Problem {
  const said = { type: "about:blank", title: "", status, code: "", detail: `HTTP ${status}` };
  try {
    return { ...said, ...(JSON.parse(text) as Partial<Problem>), status };
  } catch {
    return said; // a proxy's
  }
}

/** Whether saying it again is of no use. A missing token and a redirect are mended by people. */
function decides(problem: Problem): boolean {
  if (problem.status === 409) return problem.code !== "not-granted";
  return problem.status >= 400 && problem.status < 500 && ![401, 403, 408, 429].includes(problem.status);
}

/** The end to report after `running` was refused; null where there is none. */
function refused(problem: Problem): End | null {
  switch (problem.code) {
    case "cancel-requested":
    case "lock-release-requested":
      return { status: "canceled", message: "not started" };
    case "ended":
    case "stale-attempt":
    case "not-your-attempt":
      return null;
    default:
      return { status: "failed", reason: "error", message: `not started: ${problem.detail}` };
  }
}

const attempts = new Map<string, Attempt>();
const key = (one: { task_id: string; attempt: number }) => `${one.task_id}.${one.attempt}`;
const open = () => [...attempts.values()].filter((one) => !one.over);

async function beat(): Promise<void> {
  for (let counter = Date.now(); ; counter = Math.max(counter + 1, Date.now())) {
    const sent = boottime();
    const held = open().map(({ given: { task_id, attempt } }) => ({ task_id, attempt }));
    const said: Heartbeat = {
      runner_id: RUNNER_ID, instance: INSTANCE, pools: ["default"], host: hostname(), capacity: 8, counter, held,
    };
    const answer = await post(`${API}/runner/heartbeat`, CALLBACK_TOKEN, said, BEAT_SECONDS);
    if (answer?.code === 200) {
      lease.until = sent + LEASE_SECONDS;
      for (const one of (JSON.parse(answer.text) as HeartbeatAnswer).wanted)
        if (one.wanted === "stop") void attempts.get(key(one))?.stop("canceled");
    } else console.error(`heartbeat: ${answer === null ? "no answer" : asProblem(answer.code, answer.text).detail}`);
    await sleep(1000 * Math.max(0.1, sent + (answer?.code === 200 ? BEAT_SECONDS : 1) - boottime()));
  }
}

function accept(given: Submission): [number, Accepted | { detail: string }] {
  const accepted: Accepted = {
    task_id: given.task_id, attempt: given.attempt, status: "queued", runner_id: RUNNER_ID,
    instance: INSTANCE,
  };
  if (attempts.has(key(given))) return [202, accepted]; // it comes twice
  if (new URL(given.status_callback_url ?? "none:").origin !== new URL(API).origin)
    return [422, { detail: `this runner reports to ${API} only: set TOWPATH_URL on it` }];
  const attempt = new Attempt(given);
  attempts.set(key(given), attempt);
  for (const [old, one] of attempts) if (attempts.size > REMEMBERED && one.over) attempts.delete(old);
  setImmediate(() => void attempt.live()); // answer first
  return [202, accepted];
}

/** Whether it comes from the control plane: with the token, or, without one, not from a browser's page. */
function admitted({ headers }: IncomingMessage): boolean {
  if (!INTAKE_TOKEN) return headers.origin === undefined && /^(127\.|localhost)/.test(headers.host ?? "");
  const [given, wanted] = [Buffer.from(`${headers["x-runner-token"]}`), Buffer.from(INTAKE_TOKEN)];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

async function answer(request: IncomingMessage): Promise<[number, object]> {
  const [, kind, id, action] = (request.url ?? "").split("/");
  if (kind === "health") return [200, { runner_id: RUNNER_ID, lease: lease.held() }];
  if (!admitted(request)) return [401, { detail: "send this runner's token in X-Runner-Token" }];
  let body = "";
  for await (const part of request.setEncoding("utf8")) {
    body += part;
    if (body.length > BODY_BYTES) return [413, { detail: "too large" }];
  }
  if (request.method === "POST" && id === "submit") return accept(JSON.parse(body) as Submission);
  const found = [...attempts.values()].filter((one) => one.given.task_id === id).at(-1);
  if (found === undefined) return [404, { detail: "this runner knows no such attempt" }];
  const { task_id, attempt } = found.given;
  if (request.method === "POST" && action === "cancel") {
    const named = body ? (JSON.parse(body) as { attempt?: number }).attempt : undefined;
    if (named === undefined || named === attempt) void found.stop("canceled");
  }
  return [request.method === "POST" ? 202 : 200, { task_id, attempt, status: found.status, runner_id: RUNNER_ID }];
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [code, body] = await answer(request).catch((error: unknown) => [400, { detail: `${error}` }] as const);
  response.writeHead(code, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}

async function quit(): Promise<void> {
  server.close();
  for (const one of open()) void one.stop("stopped");
  const deadline = boottime() + GRACE_SECONDS + 5;
  while (open().length > 0 && boottime() < deadline) await sleep(50);
  process.exit(0);
}

setInterval(() => {
  if (!lease.held()) for (const one of open()) if (one.status === "running") void one.stop("lease");
}, 100);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void quit());
const server = createServer((request, response) => void serve(request, response));
server.listen(Number(PORT), INTAKE_TOKEN ? "0.0.0.0" : "127.0.0.1");
await beat();
