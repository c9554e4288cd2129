// What became of a command, for the eye and for screen readers; the newest three.
import { signal } from "@preact/signals";

export interface Message {
  id: number;
  text: string;
  kind: "good" | "bad";
}

const SHOWN_SECONDS = 8;
let last = 0;

export const messages = signal<readonly Message[]>([]);

/** Show a message; bad ones stay until they are dismissed. */
export function say(text: string, kind: Message["kind"] = "good"): void {
  last += 1;
  const id = last;
  messages.value = [...messages.value, { id, text, kind }].slice(-3);
  if (kind === "good") setTimeout(() => dismiss(id), SHOWN_SECONDS * 1000);
}

export function dismiss(id: number): void {
  messages.value = messages.value.filter((one) => one.id !== id);
}
