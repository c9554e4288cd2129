// Text of tasks, made safe to look at: it may try to look like something else. Control characters and those that show nothing
// become visible pictures of themselves.

// formats such as writing directions, what browsers draw as nothing, and other line ends; the selectors of emoji stay
const HIDDEN = /(?![\ufe0e\ufe0f])[\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2028\u2029]/gu;
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** One line of somebody else's: titles, labels, reasons. */
export function shown(text: string): string {
  return visible(text.replace(/[\t\n\r]/g, " "));
}

/** `text` with each control and hidden character as a picture or code point. Line ends and tabs stay. */
export function visible(text: string): string {
  return text.replace(CONTROL, picture).replace(HIDDEN, codePoint);
}

/** `text` with each such character as `\u` and its hexadecimal digits, as shells read them within `$'…'`. */
export function escaped(text: string): string {
  const digits = (one: string) => {
    const code = one.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  };
  return text.replace(CONTROL, digits).replace(HIDDEN, digits);
}

function picture(one: string): string {
  const code = one.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? "␡" : codePoint(one);
}

function codePoint(one: string): string {
  return `⟨U+${(one.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
}
