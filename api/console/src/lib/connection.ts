// Whether the API answers: what the stream of changes says, and what the last request of any page met.
import { computed, signal } from "@preact/signals";
import { link } from "./feed/feed";

export type Connection =
  | { state: "connecting" }
  | { state: "connected" }
  | { state: "away"; lastAt: number | null; againAt: number };

/** What the last request met. */
export const requests = signal<Connection>({ state: "connecting" });

/** When the API answered last. */
export const lastAnswer = signal<number | null>(null);

export const connection = computed<Connection>(() => {
  const live = link.value;
  if (live.state === "away") return { state: "away", lastAt: lastAnswer.value, againAt: live.againAt };
  return requests.value;
});
