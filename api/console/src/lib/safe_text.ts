// Text of tasks, made safe to look at: it may try to look like something else. Colours of terminals become styles;
// control and bidirectional characters become visible pictures of themselves.

export interface Piece {
  text: string;
  /** Classes of styles/output.css, such as "ansi-1 ansi-bold". */
  style: string;
}

const BIDI = /[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
// CSI and OSC sequences, and a lone escape of two characters
const ESCAPE = /\u001b(?:\[([0-?]*)[ -/]*([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;

/** One line of somebody else's: titles, labels, reasons. */
export function shown(text: string): string {
  return visible(text.replace(/[\t\n\r]/g, " "));
}

/** `text` with each control and bidi character as a picture or code point. Line ends and tabs stay. */
export function visible(text: string): string {
  return text.replace(CONTROL, picture).replace(BIDI, codePoint);
}

function picture(one: string): string {
  const code = one.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? "␡" : codePoint(one);
}

function codePoint(one: string): string {
  return `⟨U+${one.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

/** Output of a terminal as pieces with styles. Sequences that move the cursor or set titles are left out. */
export function terminal(text: string): Piece[] {
  const found: Piece[] = [];
  let style = new Style();
  let from = 0;
  const add = (part: string) => {
    if (part !== "") found.push({ text: visible(part), style: style.classes() });
  };
  const lines = text.replace(/\r\n/g, "\n");
  for (const one of lines.matchAll(ESCAPE)) {
    add(lines.slice(from, one.index));
    from = one.index + one[0].length;
    if (one[2] === "m") style = style.with(one[1] ?? "");
  }
  add(lines.slice(from));
  return found;
}

class Style {
  constructor(
    readonly colour: number | null = null,
    readonly bold = false,
    readonly dim = false,
  ) {}

  classes(): string {
    const parts = [this.colour === null ? "" : `ansi-${this.colour}`, this.bold ? "ansi-bold" : "", this.dim ? "ansi-dim" : ""];
    return parts.filter((part) => part !== "").join(" ");
  }

  /** Backgrounds are left out: a text may not hide itself. */
  with(codes: string): Style {
    let { colour, bold, dim } = this;
    const given = codes === "" ? [0] : codes.split(/[;:]/).map(Number);
    for (let index = 0; index < given.length; index += 1) {
      const code = given[index] ?? 0;
      if (code === 0) [colour, bold, dim] = [null, false, false];
      else if (code === 1) bold = true;
      else if (code === 2) dim = true;
      else if (code === 22) [bold, dim] = [false, false];
      else if (code >= 30 && code <= 37) colour = code - 30;
      else if (code >= 90 && code <= 97) colour = code - 90;
      else if (code === 39) colour = null;
      else if (code === 38 || code === 48) index += given[index + 1] === 5 ? 2 : 4;
    }
    return new Style(colour, bold, dim);
  }
}
