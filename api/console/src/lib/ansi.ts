// Output of a terminal in its colours: escape sequences become classes of styles/output.css, or are left out.
import { visible } from "./safe_text";

export interface Piece {
  text: string;
  /** Classes, such as "ansi-1 ansi-bold". */
  style: string;
}

// CSI, OSC and other strings, and escapes of few characters, such as those that choose a character set
const ESCAPE =
  /\u001b(?:\[([0-?]*)[ -/]*([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[PX^_][^\u001b]*\u001b\\|[ -/]+[0-~]|[0-Z\\^-~])/g;

/** `text` as pieces, and the style in which the text after it begins. Sequences that move the cursor or set titles are left out. */
export function terminal(text: string, start: Style = PLAIN): { pieces: Piece[]; end: Style } {
  const pieces: Piece[] = [];
  let style = start;
  let from = 0;
  const add = (part: string) => {
    if (part !== "") pieces.push({ text: visible(part), style: style.classes() });
  };
  // a lone carriage return begins its line anew, as progress bars do: each state has a line of its own here
  const lines = text.replace(/\r\n/g, "\n").replace(/\r/g, "\r\n");
  for (const one of lines.matchAll(ESCAPE)) {
    add(lines.slice(from, one.index));
    from = one.index + one[0].length;
    if (one[2] === "m") style = style.with(one[1] ?? "");
  }
  add(lines.slice(from));
  return { pieces, end: style };
}

export class Style {
  constructor(
    readonly colour: number | null = null,
    readonly bold = false,
    readonly dim = false,
  ) {}

  classes(): string {
    const parts = [this.colour === null ? "" : `ansi-${this.colour}`, this.bold ? "ansi-bold" : "", this.dim ? "ansi-dim" : ""];
    return parts.filter((part) => part !== "").join(" ");
  }

  /** Backgrounds are left out: a text may not hide itself. Of 256 colours the first 16 are known. */
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
      else if (code === 38 || code === 48) {
        const [kind, number = 16] = given.slice(index + 1);
        if (code === 38 && kind === 5 && number < 16) colour = number % 8;
        index += kind === 5 ? 2 : 4;
      }
    }
    return new Style(colour, bold, dim);
  }
}

export const PLAIN = new Style();
