// What the palette offers for a text. Pure, so that tests can call it.

export interface Entry {
  /** Unique among all. */
  id: string;
  label: string;
  /** Beside the label, dimmer: an id, a state, a key. */
  detail?: string;
  run: () => void;
}

export interface Group {
  title: string;
  entries: readonly Entry[];
}

const MOST = 7;

/** Those of `entries` that have every word of `text`; what begins with it first, the order else kept. */
export function matching(entries: readonly Entry[], text: string): Entry[] {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const fits = entries.filter((one) => words.every((word) => one.label.toLowerCase().includes(word)));
  const begins = (one: Entry) => (one.label.toLowerCase().startsWith(words[0] ?? "") ? 0 : 1);
  return fits.toSorted((a, b) => begins(a) - begins(b)).slice(0, MOST);
}

/** The index `by` steps on, around the ends. */
export function step(index: number, by: number, length: number): number {
  return length === 0 ? 0 : (index + by + length) % length;
}
