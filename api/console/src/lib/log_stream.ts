// The live stream of events: one connection, resumed behind the last position, and none in a tab that is long hidden.
import { Problem, Unreachable, request, sawSeq } from "./api";
import { type Line, type LogEvent, lineOf } from "./log_lines";
import { type Message, SseReader } from "./sse";

const FLUSH_MS = 250;
const SILENT_MS = 45_000; // the API sends a position at least every 15 s
const HIDDEN_MS = 30_000;
const MOST_WAIT_SECONDS = 30;

export type StreamState = { kind: "opening" | "live" | "asleep" } | { kind: "away"; againAt: number; error: Error };

export interface Told {
  /** The stream begins behind this sequence; what was shown before is of another log, or of long ago. */
  begun: (seq: number) => void;
  /** In order; at most four times a second. */
  arrived: (lines: readonly Line[]) => void;
  state: (state: StreamState) => void;
  /** It is refused, and is not asked for again. */
  refused: (error: Error) => void;
  /** Whether it may begin at the log's end again after it was asleep. */
  fromEnd: () => boolean;
}

type Query = Record<string, string | readonly string[] | null>;

export class LogStream {
  private abort = new AbortController();
  private position: string | null = null;
  private failures = 0;
  private readonly timers = new Map<"again" | "flush" | "silent" | "hidden", ReturnType<typeof setTimeout>>();
  private fresh: Line[] = [];
  private stopped = false;
  private asleep = false;

  constructor(
    private readonly query: Query,
    private readonly told: Told,
  ) {
    document.addEventListener("visibilitychange", this.seen);
    addEventListener("online", this.back);
    void this.open();
  }

  stop(): void {
    this.stopped = true;
    document.removeEventListener("visibilitychange", this.seen);
    removeEventListener("online", this.back);
    this.close();
  }

  private readonly seen = () => {
    if (document.hidden) this.later("hidden", HIDDEN_MS, () => this.sleep());
    else {
      this.clear("hidden");
      if (this.asleep) this.wake();
      else if (this.timers.has("again")) void this.open();
    }
  };

  /** The network is back: an old connection may be dead unseen. */
  private readonly back = () => {
    if (!this.asleep && !document.hidden) void this.open();
  };

  private sleep(): void {
    this.close();
    this.asleep = true;
    this.told.state({ kind: "asleep" });
  }

  private wake(): void {
    this.asleep = false;
    if (this.told.fromEnd()) this.position = null;
    void this.open();
  }

  private close(): void {
    this.abort.abort();
    this.flush();
    for (const name of [...this.timers.keys()]) this.clear(name);
  }

  private async open(): Promise<void> {
    this.close();
    const abort = new AbortController();
    this.abort = abort;
    this.told.state({ kind: "opening" });
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (this.position !== null) headers["Last-Event-ID"] = this.position;
    try {
      const response = await request("GET", "/events/stream", { query: this.query, headers, signal: abort.signal });
      await this.read(response, abort.signal);
      if (!abort.signal.aborted) this.again(null);
    } catch (error) {
      if (!abort.signal.aborted) this.again(error instanceof Error ? error : new Error(String(error)));
    }
  }

  private async read(response: Response, signal: AbortSignal): Promise<void> {
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const messages = new SseReader();
    while (reader !== undefined && !signal.aborted) {
      this.later("silent", SILENT_MS, () => {
        this.abort.abort();
        this.again(null);
      });
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      for (const message of messages.push(value)) this.take(message);
    }
  }

  private take({ id, data, comments }: Message): void {
    if (data === null) {
      const exact = comments.map((one) => /^position (.+)$/.exec(one)?.[1]).find((one) => one !== undefined);
      const position = exact ?? id;
      if (position === null || position === undefined) return;
      const first = this.position === null;
      this.position = position;
      if (id !== null) this.lives(Number(id), first);
      return;
    }
    const event = JSON.parse(data) as LogEvent;
    this.position = `${event.seq}.${event.id}`;
    sawSeq(event.seq);
    this.fresh.push(lineOf(event));
    if (!this.timers.has("flush")) this.later("flush", FLUSH_MS, () => this.flush());
  }

  private lives(seq: number, first: boolean): void {
    this.failures = 0;
    sawSeq(seq);
    if (first) this.told.begun(seq);
    this.told.state({ kind: "live" });
  }

  private flush(): void {
    this.clear("flush");
    if (this.fresh.length === 0) return;
    const lines = this.fresh;
    this.fresh = [];
    if (!this.stopped) this.told.arrived(lines);
  }

  /** After an end or a failure. The log may have been replaced by an older backup: then it begins anew. */
  private again(error: Error | null): void {
    if (this.stopped) return;
    this.flush();
    this.clear("silent");
    if (error instanceof Problem && error.status === 404 && this.position !== null) this.position = null;
    else if (error instanceof Problem && error.status < 500) {
      this.told.refused(error);
      return;
    }
    this.failures += 1;
    const asked = error instanceof Problem ? (error.retryAfterSeconds ?? 1) : 1;
    const wait = Math.min(MOST_WAIT_SECONDS, Math.max(asked, 2 ** Math.min(this.failures - 1, 5))) * 1000;
    this.told.state({ kind: "away", againAt: Date.now() + wait, error: error ?? new Unreachable() });
    this.later("again", wait, () => {
      if (!document.hidden) void this.open();
    });
  }

  private later(name: "again" | "flush" | "silent" | "hidden", ms: number, run: () => void): void {
    this.clear(name);
    this.timers.set(
      name,
      setTimeout(() => {
        if (name !== "again") this.timers.delete(name);
        run();
      }, ms),
    );
  }

  private clear(name: "again" | "flush" | "silent" | "hidden"): void {
    clearTimeout(this.timers.get(name));
    this.timers.delete(name);
  }
}
