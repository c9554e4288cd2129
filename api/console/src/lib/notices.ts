// Notices without a page: their states in words, and what a replay names.
import type { Schemas } from "./api";
import { capital } from "./format";
import type { Family, State } from "./status";

export type Notice = Schemas["NoticeRead"];
export type Channels = Schemas["ChannelsRead"];
export type Channel = Schemas["ChannelRead"];

interface Look {
  /** Whose shape it has. */
  shape: State;
  family: Family;
  word: string;
}

const LOOKS: Record<Notice["state"], Look> = {
  waiting: { shape: "dispatched", family: "moving", word: "waits" },
  sending: { shape: "running", family: "moving", word: "being sent" },
  sent: { shape: "succeeded", family: "good", word: "sent" },
  dead: { shape: "failed", family: "bad", word: "given up" },
  unsure: { shape: "submit-failed", family: "bad", word: "perhaps sent" },
};
const RETRIES: Look = { shape: "retrying", family: "blocked", word: "tries again" };

/** How a notice stands: one that waits after a failed try needs more of an eye than one that is not due yet. */
export function lookOf({ state, tries }: Pick<Notice, "state" | "tries">): Look {
  return state === "waiting" && tries > 0 ? RETRIES : LOOKS[state];
}

/** The first line of what is told, and the others. */
export function linesOf(text: string): [string, string] {
  const [first = "", ...rest] = text.split("\n");
  return [capital(first), rest.join("\n")];
}

interface Works {
  family: Family;
  word: string;
  /** What to do about it; empty where nothing is. */
  advice: string;
}

const START = "Start `towpath notifier`, or `towpath up` with TOWPATH_NOTIFY set; what is due is sent then.";

/** Whether a notifier works, in words. */
export const NOTIFIER: Record<Channels["notifier"], Works> = {
  works: { family: "good", word: "notifier works", advice: "" },
  silent: { family: "bad", word: "notifier is silent", advice: `It was killed, or cannot reach its database. ${START}` },
  none: { family: "bad", word: "no notifier works", advice: START },
  unknown: { family: "idle", word: "looking for a notifier", advice: "" },
};

/** Until when those that are shown were given up: what comes later is not meant. Null if there is none. */
export function seenUpto(given: readonly Pick<Notice, "settled_at">[]): string | null {
  return given.reduce<string | null>((last, { settled_at: at }) => (at != null && (last === null || Date.parse(at) >= Date.parse(last)) ? at : last), null);
}
