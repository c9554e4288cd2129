// How times, durations and numbers are written. Pure, so that tests can call it.
import { escaped } from "./safe_text";

const THIN = "\u202f";

/** 45311 as "45 311". */
export function count(value: number): string {
  return String(Math.trunc(value)).replace(/\B(?=(\d{3})+(?!\d))/g, THIN);
}

/** Milliseconds as "0.4s", "12s", "4m 12s", "3h 07m", "2d 4h": two units at most. */
export function duration(milliseconds: number): string {
  const total = Math.max(0, milliseconds) / 1000;
  if (total < 1) return `${total.toFixed(1)}s`;
  const seconds = Math.floor(total);
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) return `${days}d ${hours}h`;
  if (hours > 0) return `${hours}h ${pad(minutes)}m`;
  if (minutes > 0) return `${minutes}m ${pad(seconds % 60)}s`;
  return `${seconds}s`;
}

/** How long ago, in one unit, for lists: "now", "40s ago", "5m ago", "3h ago", "2d ago". */
export function ago(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 5) return "now";
  if (seconds < 60) return `${seconds}s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h ago`;
  return `${Math.floor(seconds / 86400)}d ago`;
}

/** A moment as "12:00:03", with the date if it is another day than `today`. UTC, as the log and the command line have it. */
export function clockTime(moment: Date, today: Date): string {
  const iso = moment.toISOString();
  return iso.slice(0, 10) === today.toISOString().slice(0, 10) ? iso.slice(11, 19) : dayTime(moment);
}

/** A moment as "29 Nov 12:00:03". */
export function dayTime(moment: Date): string {
  const month = moment.toLocaleString("en", { month: "short", timeZone: "UTC" });
  return `${moment.getUTCDate()} ${month} ${moment.toISOString().slice(11, 19)}`;
}

/** Bytes as "312 B", "4.1 KiB", "2.0 MiB". */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let rest = value;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${rest.toFixed(1)} ${units[unit]}`;
}

/** The end of an id: the beginning of a UUIDv7 is a time, and the same for all tasks of a moment. */
export function shortId(id: string): string {
  return id.length > 12 ? id.slice(-8) : id;
}

/** Words of a command as a person would type them into a shell. */
export function commandLine(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : quoted(word))).join(" ");
}

/** A text as one word of a shell, whatever it holds. A terminal into which it is pasted obeys no character of it. */
export function quoted(text: string): string {
  if (escaped(text) === text) return `'${text.replaceAll("'", "'\\''")}'`;
  return `$'${escaped(text.replace(/[\\']/g, "\\$&"))}'`;
}

/** As a sentence begins. */
export function capital(words: string): string {
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}

/** "1 task", "2 tasks". */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}
