// A moment as people type it: a sequence, a time, or how long ago. All times are UTC, as everywhere in the console.

export type When = { kind: "seq"; seq: number } | { kind: "time"; at: Date } | { kind: "now" };

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
const AGO = /^(?:-\s*)?((?:\d+(?:\.\d+)?\s*(?:s|m|h|d|w|sec|min|hour|day|week|second|minute)s?\s*)+)(?:ago)?$/i;
const CLOCK = /^(\d{1,2}):(\d\d)(?::(\d\d)(\.\d{1,6})?)?\s*(?:z|utc)?$/i;
const DAY = /^(\d{1,2})\s+([a-z]{3})[a-z]*\.?(?:\s+(\d{4}))?[\s,]+(\d{1,2}:\d\d.*)$/i;
const ISO = /^(\d{4}-\d\d-\d\d)(?:[t\s](\d\d:\d\d(?::\d\d)?)(\.\d+)?\s*(z|utc|[+-]\d\d:?\d\d)?)?$/i;
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAY_MS = 86_400_000;

/** What `text` names, or null if it names no moment. A second that is written without a fraction is meant to its end. */
export function parseWhen(text: string, now: Date): When | null {
  const words = text.trim();
  if (/^(now|live)$/i.test(words)) return { kind: "now" };
  const digits = words.replace(/^#/, "").replace(/[\s_,\u202f]/g, "");
  if (/^\d+$/.test(digits)) return Number.isSafeInteger(Number(digits)) ? { kind: "seq", seq: Number(digits) } : null;
  const at = ago(words, now) ?? clock(words, now) ?? day(words, now) ?? iso(words);
  return at === null || Number.isNaN(at.getTime()) ? null : { kind: "time", at };
}

/** `10m ago`, `-90s`, `1h 30m ago`, `2 days ago`. */
function ago(words: string, now: Date): Date | null {
  const [, spans] = AGO.exec(words) ?? [];
  if (spans === undefined || !/^-|ago$/i.test(words)) return null;
  let seconds = 0;
  for (const [, amount, unit] of spans.matchAll(/(\d+(?:\.\d+)?)\s*([a-z])[a-z]*/gi))
    seconds += Number(amount) * (UNITS[unit?.toLowerCase() ?? ""] ?? Number.NaN);
  return new Date(now.getTime() - seconds * 1000);
}

/** `12:00:03`: the last time that the clock showed it. */
function clock(words: string, now: Date): Date | null {
  const [, hours, minutes, seconds = "00", fraction = ".999"] = CLOCK.exec(words) ?? [];
  if (hours === undefined) return null;
  const today = now.toISOString().slice(0, 10);
  const at = new Date(`${today}T${hours.padStart(2, "0")}:${minutes}:${seconds}${fraction}Z`);
  return new Date(at.getTime() - (at.getTime() - 1000 > now.getTime() ? DAY_MS : 0));
}

/** `29 Nov 12:00:03`, as the console writes it: the last such day. */
function day(words: string, now: Date): Date | null {
  const [, number, name, year, time] = DAY.exec(words) ?? [];
  const month = MONTHS.indexOf(name?.toLowerCase() ?? "");
  const of = CLOCK.exec(time ?? "");
  if (number === undefined || month < 0 || of === null) return null;
  const [, hours = "", minutes, seconds = "00", fraction = ".999"] = of;
  const written = (in_: number) =>
    new Date(`${in_}-${two(month + 1)}-${two(Number(number))}T${two(Number(hours))}:${minutes}:${seconds}${fraction}Z`);
  const at = written(Number(year ?? now.getUTCFullYear()));
  return year === undefined && at.getTime() - 1000 > now.getTime() ? written(now.getUTCFullYear() - 1) : at;
}

/** RFC 3339, also without the offset, the seconds or the time. */
function iso(words: string): Date | null {
  const [, date, time = "00:00:00", fraction, offset = "Z"] = ISO.exec(words) ?? [];
  if (date === undefined) return null;
  const end = words.length > 10 ? ".999" : "";
  const zone = /^[+-]/.test(offset) ? offset : "Z";
  return new Date(`${date}T${time.length === 5 ? `${time}:00` : time}${fraction?.slice(0, 4) ?? end}${zone}`);
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
