// The moment that is shown: the event that `at` in the address names, as the log has it, and how to go to another one.
import { computed, signal } from "@preact/signals";
import { type Ask, type Schemas, get, sawSeq } from "./api";
import { useResource, type Resource } from "./resource";
import { at, go, here } from "./router";

type Log = Schemas["LogRead"];

const REFRESH_SECONDS = 10;

/** Whether the time machine is open. */
export const machineOpen = signal(false);

/** What `GET /log` answered about the moment of the address, and that address. */
const found = signal<{ at: string; log: Log } | null>(null);

/** The log as of the shown moment's last load; null while it is not known. */
export const momentLog = computed<Log | null>(() => (found.value !== null && found.value.at === at.value ? found.value.log : null));

/** The sequence of the shown moment; null while it is not known, and live. */
export const seqThen = computed<number | null>(() => {
  const then = at.value;
  if (then === null) return null;
  if (/^\d+$/.test(then)) return Number(then);
  const log = momentLog.value;
  return log === null ? null : (log.at?.seq ?? 0);
});

/** Keep `momentLog` at the moment of the address. For the frame, once. */
export function useMomentLog(): Resource<Log | null> {
  const then = at.value;
  return useResource(
    `moment ${then}`,
    async (abort) => {
      if (then === null) return null;
      const log = await get("/log", { query: { at: then }, signal: abort });
      if (log.last !== null) sawSeq(log.last.seq);
      found.value = { at: then, log };
      return log;
    },
    then === null ? 0 : REFRESH_SECONDS,
  );
}

/** When the moment `then` of the address was: the time of its event. */
export async function timeOf(then: string, ask: Ask = {}): Promise<number> {
  const log = await get("/log", { ...ask, query: { at: then } });
  return log.at === null ? 0 : Date.parse(log.at.at);
}

const SOON_MS = 250;
let timer: ReturnType<typeof setTimeout> | undefined;
let lastTravel = 0;

/** Where the slider is while the page has not followed it yet; null once it has. */
export const preview = signal<number | null>(null);

/** Show this page as of `then`, or live. On the way through the past, the way back leads to where it began. */
export function travel(then: number | string | null, options: { jump?: boolean } = {}): void {
  clearTimeout(timer);
  preview.value = null;
  const passing = at.value !== null && then !== null && options.jump !== true;
  go(here({ at: then }), { replace: passing });
}

export function returnToLive(): void {
  travel(null);
}

/** Move to `seq`: the number at once, the page when it has stayed for 250 ms, or as soon as `released`. */
export function scrub(seq: number, released: boolean): void {
  preview.value = seq;
  clearTimeout(timer);
  if (released && Date.now() - lastTravel >= SOON_MS) arrive();
  else timer = setTimeout(arrive, SOON_MS);
}

function arrive(): void {
  const seq = preview.value;
  lastTravel = Date.now();
  preview.value = null;
  if (seq !== null && String(seq) !== at.value) travel(seq);
}
