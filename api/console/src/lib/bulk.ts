// One command for many tasks: their ids and attempts are frozen first, then sent in requests of 100, one after the
// other. What no answer told is read again and never sent again.
import { signal } from "@preact/signals";
import type { Row, Schemas } from "./api";

export type Action = Schemas["BulkBody"]["action"];
export type Target = Pick<Row, "id" | "attempt" | "title" | "status">;

export interface Result {
  outcome: "recorded" | "unchanged" | "refused" | "unknown";
  /** Why it was refused, or what the task is after an unknown outcome. */
  detail: string | null;
}

export const MOST_TARGETS = 10_000;
export const BATCH = 100;

export function target({ id, attempt, title, status }: Target): Target {
  return { id, attempt, title, status };
}

export type Phase = "ready" | "running" | "stopping" | "stopped" | "done";

/** What a run needs of the API (lib/bulk_api.ts). */
export interface Wire {
  send: (action: Action, targets: readonly Target[], reason: string | null) => Promise<ReadonlyMap<string, Result>>;
  /** What tasks are now, of which no answer told what became of them. */
  look: (targets: readonly Target[]) => Promise<ReadonlyMap<string, Result>>;
  /** Whether a failed request may have been recorded all the same. */
  isUnknown: (error: unknown) => boolean;
}

/** Sends request by request, until it is done or stopped. */
export class BulkRun {
  readonly phase = signal<Phase>("ready");
  readonly results = signal<ReadonlyMap<string, Result>>(new Map());
  /** Why it ended early, if not by a person. */
  readonly trouble = signal<string | null>(null);

  constructor(
    readonly action: Action,
    readonly targets: readonly Target[],
    private readonly reason: string | null,
    private readonly wire: Wire,
  ) {}

  get rest(): readonly Target[] {
    return this.targets.filter((one) => !this.results.value.has(one.id));
  }

  async run(): Promise<void> {
    this.phase.value = "running";
    this.trouble.value = null;
    while (this.phase.value === "running" && this.rest.length > 0) await this.batch(this.rest.slice(0, BATCH));
    this.phase.value = this.rest.length === 0 ? "done" : "stopped";
  }

  /** After the request that is under way. */
  stop(): void {
    if (this.phase.value === "running") this.phase.value = "stopping";
  }

  private async batch(targets: readonly Target[]): Promise<void> {
    try {
      this.add(await this.wire.send(this.action, targets, this.reason));
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      this.trouble.value = words;
      this.phase.value = "stopping";
      // refused as a whole: none of it was recorded
      if (this.wire.isUnknown(error)) this.add(await this.wire.look(targets));
    }
  }

  private add(found: ReadonlyMap<string, Result>): void {
    this.results.value = new Map([...this.results.value, ...found]);
  }
}

/** How many of each, in the order in which they first appear. */
export function tally<T>(all: Iterable<T>, of: (one: T) => string): [string, number][] {
  const found = new Map<string, number>();
  for (const one of all) found.set(of(one), (found.get(of(one)) ?? 0) + 1);
  return [...found];
}

/** Up to `most` of them, spread evenly from the first to the last. */
export function samples<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all];
  return Array.from({ length: most }, (_, index) => all[Math.round((index * (all.length - 1)) / (most - 1))] as T);
}
