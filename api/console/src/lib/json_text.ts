// JSON as text, taken apart and indented without being read: a number of any size stays what it is, and so does the
// spelling of a string.

/** The values of an object by their names, as text. Throws SyntaxError for what is no object. */
export function members(text: string): Map<string, string> {
  const found = new Map<string, string>();
  const parts = inner(text, "{", "}");
  for (const part of parts) {
    const end = tokenEnd(part, 0);
    const colon = part.indexOf(":", end);
    if (colon < 0) throw new SyntaxError("a member without a value");
    found.set(JSON.parse(part.slice(0, end)) as string, part.slice(colon + 1).trim());
  }
  return found;
}

/** The elements of an array, as text. */
export function elements(text: string): string[] {
  return inner(text, "[", "]");
}

/** `text` with one member or element a line. */
export function indented(text: string): string {
  let out = "";
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  for (const token of tokens(text)) {
    if (token === "{" || token === "[") {
      depth += 1;
      out += token + line();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      const empty = /[[{]\s*$/.test(out.slice(-2 * depth - 8));
      out = empty ? out.trimEnd() + token : out + line() + token;
    } else if (token === ",") out += token + line();
    else out += token === ":" ? ": " : token;
  }
  return out;
}

function inner(text: string, open: string, close: string): string[] {
  const trimmed = text.trim();
  if (!trimmed.startsWith(open) || !trimmed.endsWith(close)) throw new SyntaxError(`no ${open}…${close}`);
  const found: string[] = [];
  let [depth, from] = [0, 1];
  for (let at = 0; at < trimmed.length; at = tokenEnd(trimmed, at)) {
    const one = trimmed[at];
    if (one === "{" || one === "[") depth += 1;
    else if (one === "}" || one === "]") depth -= 1;
    if ((one === "," && depth === 1) || (depth === 0 && at === trimmed.length - 1)) {
      const part = trimmed.slice(from, at).trim();
      if (part !== "") found.push(part);
      from = at + 1;
    }
  }
  return found;
}

function* tokens(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const end = tokenEnd(text, at);
    const token = text.slice(at, end);
    if (token.trim() !== "") yield token;
    at = end;
  }
}

const PLAIN = /[^\s{}[\]:,"]+/y;

/** Behind the token that begins at `at`; no regular expression goes through a string, which may be long. */
function tokenEnd(text: string, at: number): number {
  if (text[at] !== '"') {
    PLAIN.lastIndex = at;
    return PLAIN.test(text) ? PLAIN.lastIndex : at + 1;
  }
  let end = text.indexOf('"', at + 1);
  while (end >= 0 && escaped(text, end)) end = text.indexOf('"', end + 1);
  return end < 0 ? text.length : end + 1;
}

function escaped(text: string, quote: number): boolean {
  let before = quote - 1;
  while (text[before] === "\\") before -= 1;
  return (quote - before) % 2 === 0;
}
