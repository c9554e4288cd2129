// The log as its page reads it: the newest page, what comes after it by the stream, and older pages as they are asked for.
import { type Signal, signal } from "@preact/signals";
import { get } from "./api";
import { type LogFilters, toQuery } from "./log_filters";
import { type Line, lineOf } from "./log_lines";
import { LogStream, type StreamState } from "./log_stream";
import { type LinePage, type Tail, arrived, begin, followed, readBack, readLater, readOn } from "./tail";
import { loadTitles } from "./titles";

/** More than a window shows, and within the budget of a first load. */
const FIRST_PAGE = 44;
const PAGE = 200;
/** Larger than any sequence; exact in JavaScript. */
const END = Number.MAX_SAFE_INTEGER;

/** `read`: paused because a person reads further up; `held`: paused by hand. */
export type Pace = "follow" | "read" | "held";

export class LiveLog {
  readonly tail: Signal<Tail | null> = signal(null);
  readonly pace: Signal<Pace> = signal("follow");
  readonly stream: Signal<StreamState> = signal({ kind: "opening" });
  readonly error: Signal<Error | null> = signal(null);
  /** What keeps older or later lines from being read, until `retry`. */
  readonly stuck: Signal<Error | null> = signal(null);
  private early: Line[] = [];
  /** Until the first page is there, what comes waits for it. */
  private beginning = true;
  private live: LogStream | null = null;
  private reading = false;
  private loads = 0;
  private before = END;
  private readonly abort = new AbortController();

  /** `then`: the moment in the address; then nothing comes. */
  constructor(
    private readonly filters: LogFilters,
    private readonly then: string | null,
  ) {
    this.restart();
  }

  stop(): void {
    this.abort.abort();
    this.live?.stop();
  }

  /** Begin at the log's end. */
  restart(): void {
    this.live?.stop();
    this.error.value = null;
    this.stuck.value = null;
    if (this.then !== null) {
      void this.load(END);
      return;
    }
    this.live = new LogStream(toQuery(this.filters), {
      begun: (seq) => {
        this.beginning = true;
        this.early = [];
        void this.load(seq + 1);
      },
      arrived: (lines) => this.take(lines),
      state: (state) => {
        this.stream.value = state;
        if (state.kind === "live" && this.beginning && this.error.value !== null) void this.load(this.before);
      },
      refused: (error) => {
        this.error.value = error;
      },
      fromEnd: () => this.pace.value === "follow",
    });
  }

  pause(pace: "read" | "held"): void {
    if (this.pace.value !== "held") this.pace.value = pace;
  }

  /** Show all that came, and follow. */
  follow(): void {
    this.pace.value = "follow";
    if (this.tail.value === null) return;
    const shown = followed(this.tail.value);
    if (shown === null) this.restart();
    else this.tail.value = shown;
  }

  /** The reader is at the last row: the next lines, and to follow once there are no more. */
  async down(): Promise<void> {
    const tail = this.tail.value;
    if (tail === null || this.pace.value === "follow") return;
    if (tail.held.length > 0) this.tail.value = readOn(tail);
    else if (tail.skipped > 0) await this.read((query) => this.later(query, tail));
    else if (this.pace.value === "read") this.pace.value = "follow";
  }

  /** The reader is at the first row: older lines. */
  async up(): Promise<void> {
    const tail = this.tail.value;
    if (tail === null || tail.older.done) return;
    await this.read(async (query) => {
      const before = tail.older.cursor === null ? (tail.rows[0]?.seq ?? END) : END;
      const page = await this.page({ ...query, before_seq: before, cursor: tail.older.cursor });
      if (this.tail.value !== null) this.tail.value = readBack(this.tail.value, tail.older, page);
    });
  }

  private async later(query: Query, tail: Tail): Promise<void> {
    const after_seq = tail.rows.at(-1)?.seq ?? 0;
    let page = await this.page({ ...query, after_seq });
    // a page may be empty because so many others were looked at, and another one follow
    while (page.lines.length === 0 && page.cursor !== null) page = await this.page({ ...query, after_seq, cursor: page.cursor });
    if (this.tail.value !== null) this.tail.value = readLater(this.tail.value, after_seq, page.lines);
  }

  private take(lines: readonly Line[]): void {
    if (this.tail.value === null || this.beginning) this.early.push(...lines);
    else this.tail.value = arrived(this.tail.value, lines, this.pace.value === "follow");
  }

  private async load(before: number): Promise<void> {
    this.loads += 1;
    this.before = before;
    this.error.value = null;
    const own = this.loads;
    try {
      const page = await this.page({ ...this.query(), limit: FIRST_PAGE, before_seq: before });
      await this.nameTasks(page.lines);
      if (own !== this.loads) return; // the stream began anew meanwhile
      this.tail.value = arrived(begin(page, this.then === null ? before - 1 : 0), this.early, this.pace.value === "follow");
      [this.early, this.beginning] = [[], false];
    } catch (error) {
      if (own === this.loads && !this.abort.signal.aborted) this.error.value = error as Error;
    }
  }

  /** Ask for the titles of tasks before their lines are drawn, so that no text changes under the eye. */
  private async nameTasks(lines: readonly Line[]): Promise<void> {
    const ids = [...new Set(lines.flatMap((line) => line.taskId ?? []))];
    await loadTitles(ids, this.abort.signal).catch(() => undefined); // ids are shown instead
  }

  /** One read at a time; a failure stays until `retry`. */
  private async read(one: (query: Query) => Promise<void>): Promise<void> {
    if (this.reading || this.stuck.value !== null) return;
    this.reading = true;
    try {
      await one(this.query());
    } catch (error) {
      if (!this.abort.signal.aborted) this.stuck.value = error as Error;
    } finally {
      this.reading = false;
    }
  }

  private query(): Query {
    return { ...toQuery(this.filters), to: this.then, limit: PAGE };
  }

  private async page(query: Query): Promise<LinePage> {
    const page = await get("/events", { query, signal: this.abort.signal });
    return { lines: page.items.map(lineOf), cursor: page.next_cursor ?? null };
  }
}

type Query = Record<string, string | number | readonly string[] | null>;

