// What searches may name: workspaces, pools and runners that there are, labels that were seen. Asked for when a search
// is typed, and again after half a minute at the earliest.
import { signal } from "@preact/signals";
import { type Row, get } from "./api";
import type { Known } from "./completion";

const MOST_LABELS = 200;
const OLD_MS = 30_000;

const labels = new Set<string>();
let asked = 0;

export const known = signal<Known>({});

/** Note the labels of tasks that were shown. */
export function sawLabels(tasks: readonly Row[]): void {
  for (const task of tasks)
    for (const [name, value] of Object.entries(task.labels)) if (labels.size < MOST_LABELS) labels.add(`${name}:${value}`);
}

export async function refreshKnown(): Promise<void> {
  known.value = { ...known.value, label: [...labels].toSorted() };
  if (Date.now() - asked < OLD_MS) return;
  asked = Date.now();
  try {
    const [workspaces, runners] = await Promise.all([
      get("/workspaces", { query: { limit: 500 } }),
      get("/runners", { query: { limit: 500 } }),
    ]);
    const pools = new Set(runners.items.flatMap((one) => one.pools));
    known.value = {
      workspace: workspaces.items.map((one) => one.id),
      runner: runners.items.map((one) => one.id),
      pool: [...pools].toSorted(),
      label: [...labels].toSorted(),
    };
  } catch {
    asked = 0; // a search works without
  }
}
