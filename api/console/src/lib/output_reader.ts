// Reads the output of one attempt in ranges: its end first, then what comes, then what a person asks for. Never holds
// more than LIMITS allow, so that the length of an output costs nothing.
import { batch, signal } from "@preact/signals";
import { Problem, Unreachable, request } from "./api";
import { type Block, LIMITS, appended, back, bounded, lineStart, on } from "./output_blocks";

const OUTPUT = "/tasks/{task_id}/output";
const STEP_BYTES = 64 << 10;
const MOST_BYTES = 1 << 20;
const WAIT_SECONDS = 10;
/** At most four renders a second. */
const REST_MS = 250;
const WATCH_MS = 1000;

export interface Facts {
  size: number;
  complete: boolean;
  /** Bytes that the runner has left out of the middle. */
  cut: number;
}

interface Range extends Facts {
  from: number;
  bytes: Uint8Array;
}

export interface Which {
  taskId: string;
  attempt: number;
}

export async function readRange(which: Which, from: number, limit: number, wait: number, abort: AbortSignal): Promise<Range> {
  const query = { attempt: which.attempt, offset: from, limit, wait };
  const answer = await request("GET", OUTPUT, { path: { task_id: which.taskId }, query, signal: abort });
  const number = (name: string) => Number(answer.headers.get(`Towpath-Output-${name}`) ?? 0);
  const complete = answer.headers.get("Towpath-Output-Complete") === "true";
  const bytes = new Uint8Array(await answer.arrayBuffer());
  return { from: number("Offset"), size: number("Size"), cut: number("Cut"), complete, bytes };
}

export class OutputReader {
  readonly blocks = signal<readonly Block[]>([]);
  readonly facts = signal<Facts | null>(null);
  readonly error = signal<Error | null>(null);
  /** Whether the end is shown and kept in view; else what is shown stays, and only the size is looked at. */
  readonly following = signal(true);
  readonly busy = signal(false);
  private abort: AbortController | null = null;

  constructor(private readonly which: Which) {}

  get from(): number {
    return this.blocks.value[0]?.from ?? 0;
  }

  get to(): number {
    return this.blocks.value.at(-1)?.to ?? 0;
  }

  /** Read on until everything is there, or `stop`. */
  start(): void {
    this.stop();
    this.abort = new AbortController();
    void this.run(this.abort.signal);
  }

  stop(): void {
    this.abort?.abort();
    this.abort = null;
  }

  pause(): void {
    this.following.value = false;
    if (this.facts.value?.complete === false) this.start();
  }

  /** Show the end, and stay there. */
  follow(): void {
    this.following.value = true;
    this.start();
  }

  toStart(): void {
    this.following.value = false;
    void this.turned(async (abort) => {
      const found = await this.all(0, STEP_BYTES, abort);
      this.blocks.value = bounded(appended([], 0, found), "first");
    });
  }

  earlier(): void {
    const to = this.from;
    const from = Math.max(0, to - STEP_BYTES);
    if (to === 0) return;
    void this.turned(async (abort) => {
      const found = await this.all(from, to - from, abort);
      if (this.from !== to) return;
      const skip = from === 0 ? 0 : lineStart(found);
      const whole = back(this.blocks.value, from + skip, found.subarray(skip));
      if ((whole.at(-1)?.to ?? 0) < this.to) this.following.value = false;
      this.blocks.value = whole;
    });
  }

  later(): void {
    const from = this.to;
    void this.turned(async (abort) => {
      const { bytes } = await readRange(this.which, from, STEP_BYTES, 0, abort);
      if (this.to === from) this.blocks.value = on(this.blocks.value, from, bytes);
    });
  }

  /** One thing at a time that a person asked for; what fails is shown. */
  private async turned(load: (abort: AbortSignal) => Promise<void>): Promise<void> {
    if (this.busy.value) return;
    this.busy.value = true;
    try {
      await load(new AbortController().signal);
      this.error.value = null;
    } catch (error) {
      this.error.value = error as Error;
    }
    this.busy.value = false;
  }

  private async all(from: number, length: number, abort: AbortSignal): Promise<Uint8Array> {
    const found = new Uint8Array(length);
    let have = 0;
    while (have < length) {
      const { bytes } = await readRange(this.which, from + have, length - have, 0, abort);
      if (bytes.length === 0) break;
      found.set(bytes, have);
      have += bytes.length;
    }
    return found.subarray(0, have);
  }

  private async run(abort: AbortSignal): Promise<void> {
    for (let failures = 0; !abort.aborted; ) {
      try {
        if (!(await this.step(abort))) return;
        this.error.value = null;
        failures = 0;
        await rest(this.following.value ? REST_MS : WATCH_MS, abort);
      } catch (error) {
        if (abort.aborted) return;
        this.error.value = error as Error;
        if (!passes(error)) return;
        await rest(1000 * Math.min(30, 2 ** failures), abort);
        failures += 1;
      }
    }
  }

  /** Whether there may be more. */
  private async step(abort: AbortSignal): Promise<boolean> {
    const known = this.facts.value;
    if (!this.following.value && known !== null) {
      if (known.complete) return false;
      this.noted(await readRange(this.which, known.size, 1, WAIT_SECONDS, abort));
      return true;
    }
    const behind = known === null ? 0 : known.size - this.to;
    const anew = known === null || behind > LIMITS.bytes;
    const found = anew
      ? await readRange(this.which, -STEP_BYTES, STEP_BYTES, 0, abort)
      : await readRange(this.which, this.to, LIMITS.bytes, WAIT_SECONDS, abort);
    if (abort.aborted) return false;
    const skip = anew && found.from > 0 ? lineStart(found.bytes) : 0;
    batch(() => {
      this.noted(found);
      const before = anew ? [] : this.blocks.value;
      if (found.bytes.length > 0) this.blocks.value = bounded(appended(before, found.from + skip, found.bytes.subarray(skip)), "last");
    });
    return !(found.complete && this.to >= found.size);
  }

  private noted({ size, complete, cut }: Facts): void {
    this.facts.value = { size, complete, cut };
  }
}

/** The whole output as a file; `told` is called with the bytes that have come and all. */
export async function wholeOutput(which: Which, told: (have: number, size: number) => void, abort: AbortSignal): Promise<Blob> {
  const parts: Blob[] = [];
  let have = 0;
  for (;;) {
    const { bytes, size } = await readRange(which, have, MOST_BYTES, 0, abort);
    if (bytes.length === 0) return new Blob(parts, { type: "text/plain" });
    // a Blob may go to disk; the bytes themselves would stay in memory
    parts.push(new Blob([bytes as Uint8Array<ArrayBuffer>]));
    have += bytes.length;
    told(have, size);
  }
}

function passes(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof Problem && error.status === 503 && error.extra["ended"] !== true);
}

function rest(ms: number, abort: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(finish, ms);
    function finish() {
      clearTimeout(timer);
      abort.removeEventListener("abort", finish);
      done();
    }
    abort.addEventListener("abort", finish);
  });
}
