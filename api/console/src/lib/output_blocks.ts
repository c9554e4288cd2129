// The part of an output that is shown: blocks of whole lines, so that growing at one end and shrinking at the other
// draws only what changed. Bounded in bytes, lines and pieces, whatever a task prints.
import { PLAIN, type Piece, type Style, terminal } from "./ansi";

export interface Block {
  /** Its bytes in the output: from the first one to behind the last one. */
  from: number;
  to: number;
  bytes: Uint8Array;
  lines: number;
  start: Style;
  end: Style;
  pieces: readonly Piece[];
}

export interface Limits {
  blockBytes: number;
  bytes: number;
  lines: number;
  pieces: number;
}

export const LIMITS: Limits = { blockBytes: 16 << 10, bytes: 256 << 10, lines: 4000, pieces: 1500 };
const NEWLINE = 10;
/** Alone it ends a line, too (ansi.ts). */
const RETURN = 13;
/** So much of the end of an output is in the log, cut between characters (domain/protocol.py). */
const TAIL_BYTES = 8192;
const LONGEST_CHARACTER = 4;

/** The end of an output as the log has it; where its first line lacks its beginning, that shows. */
export function endOf(text: string): { bytes: Uint8Array; cut: boolean } {
  const bytes = new TextEncoder().encode(text);
  const cut = bytes.length > TAIL_BYTES - LONGEST_CHARACTER;
  return { bytes: cut ? joined(new TextEncoder().encode("…"), bytes) : bytes, cut };
}

/** What comes behind `blocks`; at another place than their end, it begins anew. */
export function appended(blocks: readonly Block[], from: number, bytes: Uint8Array, limits = LIMITS): Block[] {
  const last = blocks.at(-1);
  if (last === undefined || last.to !== from) return cut(from, bytes, PLAIN, limits);
  // the last block may end within a line or a character
  const open = joined(last.bytes, bytes);
  return [...blocks.slice(0, -1), ...cut(last.from, open, last.start, limits)];
}

/** What comes before `blocks`. A colour that begins there goes on into them. */
export function prepended(blocks: readonly Block[], from: number, bytes: Uint8Array, limits = LIMITS): Block[] {
  const before = cut(from, bytes, PLAIN, limits);
  let style = before.at(-1)?.end ?? PLAIN;
  const after = blocks.map((block) => {
    const same = style.classes() === block.start.classes();
    const found = same ? block : made(block.from, block.bytes, style);
    style = found.end;
    return found;
  });
  return [...before, ...after];
}

/** A page further back: at least half of what was shown stays, so that the eye finds its place. */
export function back(blocks: readonly Block[], from: number, bytes: Uint8Array, limits = LIMITS): Block[] {
  const near = bounded(cut(from, bytes, PLAIN, limits), "last", half(limits));
  const start = near[0]?.from ?? from;
  return bounded(prepended(blocks, start, bytes.subarray(start - from), limits), "first", limits);
}

/** A page further on, as `back`. */
export function on(blocks: readonly Block[], from: number, bytes: Uint8Array, limits = LIMITS): Block[] {
  const near = bounded(cut(from, bytes, PLAIN, limits), "first", half(limits));
  const end = near.at(-1)?.to ?? from;
  return bounded(appended(blocks, from, bytes.subarray(0, end - from), limits), "last", limits);
}

function half({ blockBytes, bytes, lines, pieces }: Limits): Limits {
  return { blockBytes, bytes: bytes / 2, lines: lines / 2, pieces: pieces / 2 };
}

/** As many blocks as the limits allow, from one end of `blocks`; at least one. */
export function bounded(blocks: readonly Block[], keep: "first" | "last", limits = LIMITS): Block[] {
  const kept: Block[] = [];
  let [bytes, lines, pieces] = [0, 0, 0];
  for (const block of keep === "last" ? blocks.toReversed() : blocks) {
    bytes += block.bytes.length;
    lines += block.lines;
    pieces += block.pieces.length;
    if (kept.length > 0 && (bytes > limits.bytes || lines > limits.lines || pieces > limits.pieces)) break;
    kept.push(block);
  }
  return keep === "last" ? kept.reverse() : kept;
}

/** Where the first whole line begins in bytes from the middle of an output; 0 if there is no other. */
export function lineStart(bytes: Uint8Array): number {
  const at = bytes.indexOf(NEWLINE);
  return at >= 0 && at < bytes.length - 1 ? at + 1 : characterStart(bytes, 0);
}

export function textOf(blocks: readonly Block[]): string {
  return blocks.flatMap((block) => block.pieces.map((piece) => piece.text)).join("");
}

function cut(from: number, bytes: Uint8Array, style: Style, limits: Limits): Block[] {
  const found: Block[] = [];
  let [begin, start, size] = [0, style, limits.blockBytes];
  while (begin < bytes.length) {
    const end = blockEnd(bytes, begin, size);
    const block = made(from + begin, bytes.subarray(begin, end), start);
    const large = block.pieces.length > limits.pieces / 3 || block.lines > limits.lines / 3;
    if (large && size > 64) {
      size = Math.ceil(size / 2);
      continue;
    }
    found.push(block);
    [begin, start, size] = [end, block.end, limits.blockBytes];
  }
  return found;
}

/** Behind the last line that ends within `size` bytes; within a line that is longer, between two characters. */
function blockEnd(bytes: Uint8Array, begin: number, size: number): number {
  if (bytes.length - begin <= size) return bytes.length;
  const line = bytes.subarray(begin, begin + size).lastIndexOf(NEWLINE);
  if (line >= 0) return begin + line + 1;
  const end = characterStart(bytes, begin + size);
  return end > begin ? end : begin + size;
}

/** `at`, or the next place where a character of UTF-8 begins. */
function characterStart(bytes: Uint8Array, at: number): number {
  let place = at;
  while (place < bytes.length && place < at + 3 && ((bytes[place] ?? 0) & 0xc0) === 0x80) place += 1;
  return place;
}

function made(from: number, bytes: Uint8Array, start: Style): Block {
  const { pieces, end } = terminal(decoded(bytes), start);
  let lines = 0;
  for (let at = 0; at < bytes.length; at += 1) if (bytes[at] === NEWLINE || (bytes[at] === RETURN && bytes[at + 1] !== NEWLINE)) lines += 1;
  return { from, to: from + bytes.length, bytes, lines, start, end, pieces };
}

/** The text; a character whose last bytes are yet to come is left out. */
function decoded(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes, { stream: true });
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
