// Text of tasks, made safe to look at: it may try to look like something else. Control and bidirectional characters
// become visible pictures of themselves.

const BIDI = /[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

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
