// Server-sent events, read from a response: unlike EventSource it tells statuses, positions and comments.

export interface Message {
  id: string | null;
  /** null: a message without data, such as a position. */
  data: string | null;
  comments: readonly string[];
}

/** Takes the text of a stream as it comes, in parts of any size. */
export class SseReader {
  private rest = "";
  private id: string | null = null;
  private data: string[] = [];
  private comments: string[] = [];

  /** The messages that `text` completes. */
  push(text: string): Message[] {
    const found: Message[] = [];
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.line(line.replace(/\r$/, ""), found);
    return found;
  }

  private line(line: string, found: Message[]): void {
    if (line === "") {
      const { id, data, comments } = this;
      if (id !== null || data.length > 0 || comments.length > 0)
        found.push({ id, data: data.length === 0 ? null : data.join("\n"), comments });
      [this.id, this.data, this.comments] = [null, [], []];
      return;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "") this.comments.push(value);
    else if (name === "id") this.id = value;
    else if (name === "data") this.data.push(value);
  }
}
