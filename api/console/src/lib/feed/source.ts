// The stream of changes, held open: resumed by sequence after each loss, with the time of the next try. It knows no
// page, since a worker holds it for all tabs.
import { type Link, type Message, type News, moved, received } from "./news";

/** `seq`: where the stream stands; null before the first answer. */
export type Told = { link: Link; seq: number | null } | { news: News };

const FULL_SECONDS = 5;
const REOPEN_SECONDS = 1;
const MOST_SECONDS = 10;
const PULSE_SECONDS = 5;
/** Between two pulses that lie so far apart, the machine has slept: its connection may be dead unseen. */
const SLEPT_SECONDS = 30;

export class Source {
  link: Link = { state: "connecting" };
  seq: number | null = null;
  private stream: EventSource | null = null;
  private looking = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private pulse: ReturnType<typeof setInterval> | undefined;
  private failures = 0;

  constructor(
    private readonly root: string,
    private readonly tell: (told: Told) => void,
  ) {}

  start(): void {
    if (this.pulse !== undefined) return;
    this.watchSleep();
    this.open();
  }

  stop(): void {
    clearInterval(this.pulse);
    this.pulse = undefined;
    this.drop();
  }

  /** Connect anew, now: after a login or logout, or when the network is back. */
  again(): void {
    if (this.pulse === undefined) return;
    this.failures = 0;
    this.drop();
    this.open();
  }

  private open(): void {
    const after = this.seq === null ? "" : `?after_seq=${this.seq}`;
    const stream = new EventSource(`${this.root}/changes${after}`);
    this.stream = stream;
    stream.onmessage = (event) => this.heard(Number(event.lastEventId), JSON.parse(String(event.data)) as Message);
    stream.onerror = () => {
      const refused = stream.readyState === EventSource.CLOSED;
      this.drop();
      void this.look(refused);
    };
  }

  private heard(id: number, message: Message): void {
    this.failures = 0;
    const news = received(this.seq, id, message);
    if (news !== null || this.seq === null) this.seq = id;
    if (this.link.state !== "open") this.become({ state: "open" });
    if (news !== null) this.tell({ news });
  }

  /** Why the stream ended: the log's position answers, too, or tells that a login is needed, or nothing answers. */
  private async look(refused: boolean): Promise<void> {
    const { signal } = this.looking;
    const found = await this.position(signal);
    if (signal.aborted) return;
    if (typeof found !== "number") return found === "login" ? this.become({ state: "login" }) : this.away(found.after);
    if (refused) this.poll(found);
    this.later(refused ? FULL_SECONDS : REOPEN_SECONDS);
  }

  /** The last sequence of the log, or what stands in the way; `after`: seconds that the API asks to wait. */
  private async position(signal: AbortSignal): Promise<number | "login" | { after: number }> {
    try {
      const answer = await fetch(`${this.root}/log`, { cache: "no-store", signal });
      if (answer.status === 401) return "login";
      if (!answer.ok) return { after: Number(answer.headers.get("Retry-After") ?? 0) };
      const { last } = (await answer.json()) as { last: { seq: number } | null };
      return last?.seq ?? 0;
    } catch {
      return { after: 0 };
    }
  }

  private poll(seq: number): void {
    const news = moved(this.seq, seq);
    this.seq = seq;
    if (this.link.state !== "polling") this.become({ state: "polling" });
    if (news !== null) this.tell({ news });
  }

  private away(asked: number): void {
    this.failures += 1;
    const seconds = Math.min(MOST_SECONDS, Math.max(asked, 2 ** (this.failures - 1)));
    this.become({ state: "away", againAt: Date.now() + seconds * 1000 });
    this.later(seconds);
  }

  private later(seconds: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), seconds * 1000);
  }

  private become(link: Link): void {
    this.link = link;
    this.tell({ link, seq: this.seq });
  }

  private drop(): void {
    clearTimeout(this.timer);
    this.looking.abort();
    this.looking = new AbortController();
    this.stream?.close();
    this.stream = null;
  }

  private watchSleep(): void {
    let last = Date.now();
    this.pulse = setInterval(() => {
      const slept = Date.now() - last > SLEPT_SECONDS * 1000;
      last = Date.now();
      if (slept && this.link.state !== "login") this.again();
    }, PULSE_SECONDS * 1000);
  }
}
