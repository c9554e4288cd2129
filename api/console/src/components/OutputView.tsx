// The output of an attempt as it is read: its end, followed while it grows; the rest by range, and what is not shown
// is told.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { Problem, Unreachable } from "../lib/api";
import { copy } from "../lib/clipboard";
import { bytes, plural } from "../lib/format";
import { shortcut } from "../lib/keys";
import { say } from "../lib/messages";
import { appended, endOf, textOf } from "../lib/output_blocks";
import { OutputReader, type Which, wholeOutput } from "../lib/output_reader";
import { Icon } from "./Icon";
import { OutputText } from "./OutputText";

const NEAR_PIXELS = 200;
const END_PIXELS = 16;

export function OutputView({ which, over, wrap }: { which: Which; over: boolean; wrap: boolean }) {
  const reader = useMemo(() => new OutputReader(which), [which.taskId, which.attempt]);
  useEffect(() => reading(reader), [reader]);
  // the end of an attempt brings its tail, where its runner does not answer
  useEffect(() => {
    if (reader.error.value !== null) reader.start();
  }, [over]);
  // whether a person has scrolled up: the page's own scrolling to the end must not undo a pause by its key
  const left = useRef(false);
  const facts = reader.facts.value;
  const error = reader.error.value;
  const blocks = reader.blocks.value;
  useEffect(() => {
    const turn = () => (reader.following.value ? reader.pause() : reader.follow());
    return shortcut({ keys: "p", what: "pause or follow the output", run: turn });
  }, [reader]);
  if (facts === null) return error === null ? <p class="dim">Reading …</p> : <Missing error={error} wrap={wrap} retry={() => reader.start()} />;
  const scrolled = (above: number, below: number, up: boolean) => {
    if (up && below > END_PIXELS) left.current = true;
    const back = left.current && !up && !reader.following.value;
    if (reader.following.value && up && below > END_PIXELS) reader.pause();
    else if (back && below <= END_PIXELS && reader.to >= facts.size && !facts.complete) {
      left.current = false;
      reader.follow();
    } else if (!reader.following.value && up && above < NEAR_PIXELS) reader.earlier();
    else if (!reader.following.value && !up && below < NEAR_PIXELS && reader.to < facts.size) reader.later();
  };
  return (
    <>
      <Bar reader={reader} which={which} />
      <Hidden size={reader.from} where="first">
        <button type="button" class="bare" disabled={reader.busy.value} onClick={() => reader.earlier()}>
          Show earlier
        </button>
        <button type="button" class="bare" disabled={reader.busy.value} onClick={() => reader.toStart()}>
          Jump to the start
        </button>
      </Hidden>
      {facts.size === 0 ? (
        <p class="dim">{facts.complete ? "It printed nothing." : "Nothing was printed yet."}</p>
      ) : (
        <OutputText blocks={blocks} label="Output" wrap={wrap} following={reader.following.value} scrolled={scrolled} />
      )}
      <Hidden size={facts.size - reader.to} where="last">
        <button type="button" class="bare" disabled={reader.busy.value} onClick={() => reader.later()}>
          Show later
        </button>
        <button type="button" class="bare" onClick={() => reader.follow()}>
          Jump to the end
        </button>
      </Hidden>
      {error !== null && (
        <p class="trouble" role="alert">
          {error instanceof Unreachable || (error instanceof Problem && error.status === 503) ? "Reading on fails for now" : "It could not be read on"}:{" "}
          {error.message}
        </p>
      )}
    </>
  );
}

/** Read while the page is visible. */
function reading(reader: OutputReader): () => void {
  const turn = () => (document.hidden ? reader.stop() : reader.start());
  turn();
  document.addEventListener("visibilitychange", turn);
  return () => {
    document.removeEventListener("visibilitychange", turn);
    reader.stop();
  };
}

function Hidden({ size, where, children }: { size: number; where: "first" | "last"; children: preact.ComponentChildren }) {
  if (size <= 0) return null;
  return (
    <div class="not-shown">
      <span>
        The {where} {bytes(size)} are not shown.
      </span>
      {children}
    </div>
  );
}

function Bar({ reader, which }: { reader: OutputReader; which: Which }) {
  const facts = reader.facts.value;
  if (facts === null) return null;
  const following = reader.following.value;
  const copied = async () => {
    const done = await copy(textOf(reader.blocks.value));
    say(done ? "Copied what is shown." : "The browser did not let it be copied.", done ? "good" : "bad");
  };
  return (
    <div class="output-bar">
      <span role="status">{facts.complete ? `whole · ${bytes(facts.size)}` : following ? "live" : "paused"}</span>
      {!facts.complete && <span class="dim number">{bytes(facts.size)} so far</span>}
      {facts.cut > 0 && <span class="dim">{bytes(facts.cut)} of its middle were left out by the runner</span>}
      <span class="gap" />
      {!facts.complete && (
        <button type="button" class="bare" aria-pressed={!following} onClick={() => (following ? reader.pause() : reader.follow())}>
          <Icon name={following ? "pause" : "follow"} /> {following ? "Pause" : "Follow"} <kbd>p</kbd>
        </button>
      )}
      <button type="button" class="bare" title="what is shown, as it is shown" onClick={() => void copied()}>
        <Icon name="copy" /> Copy
      </button>
      <Download which={which} size={facts.size} />
    </div>
  );
}

function Download({ which, size }: { which: Which; size: number }) {
  const have = useSignal<number | null>(null);
  const abort = useMemo(() => ({ now: new AbortController() }), []);
  useEffect(() => () => abort.now.abort(), []);
  const load = async () => {
    abort.now = new AbortController();
    have.value = 0;
    try {
      const told = (bytes: number) => {
        have.value = bytes;
      };
      save(await wholeOutput(which, told, abort.now.signal), `${which.taskId}-attempt-${which.attempt}.log`);
    } catch (error) {
      if (!abort.now.signal.aborted) say(`It could not be downloaded: ${(error as Error).message}`, "bad");
    }
    have.value = null;
  };
  if (have.value === null) {
    return (
      <button type="button" class="bare" title="all of it, byte for byte" onClick={() => void load()}>
        <Icon name="download" /> Download
      </button>
    );
  }
  return (
    <button type="button" class="bare" onClick={() => abort.now.abort()}>
      <Icon name="close" /> Stop at {bytes(have.value)} of {bytes(size)}
    </button>
  );
}

function save(file: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** No output can be read: what the log has of its end, if the attempt has ended. */
function Missing({ error, wrap, retry }: { error: Error; wrap: boolean; retry: () => void }) {
  const extra = error instanceof Problem ? error.extra : {};
  const tail = typeof extra["output_tail"] === "string" ? extra["output_tail"] : null;
  const away = error instanceof Unreachable || (error instanceof Problem && error.status === 503);
  return (
    <>
      <div class="output-bar">
        <span role="status">
          {tail === null ? error.message : `${away ? "Its runner does not answer" : "Not kept"}: this is its end, as the log has it (${plural(tail.length, "character")})`}
        </span>
        {away && (
          <button type="button" class="bare" onClick={retry}>
            Try again
          </button>
        )}
      </div>
      {tail !== null && <Tail text={tail} wrap={wrap} named />}
    </>
  );
}

/** The end of an output, as an event has it; shown from its end on. */
export function Tail({ text, wrap, named = false }: { text: string; wrap: boolean; named?: boolean }) {
  const end = useMemo(() => endOf(text), [text]);
  const blocks = useMemo(() => appended([], 0, end.bytes), [end]);
  const atEnd = useSignal(true);
  const scrolled = (_: number, below: number) => {
    atEnd.value = below <= END_PIXELS;
  };
  return (
    <>
      {!named && end.cut && <p class="output-bar dim">The last 8 KiB, which is what the log keeps of an output.</p>}
      <OutputText blocks={blocks} label="Output" wrap={wrap} following={atEnd.value} scrolled={scrolled} />
    </>
  );
}
