import type { RefObject } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { Piece } from "../lib/ansi";
import type { Block } from "../lib/output_blocks";

interface OutputTextProps {
  blocks: readonly Block[];
  label: string;
  wrap: boolean;
  /** Whether the end stays in view. */
  following?: boolean;
  /** Called when a person has scrolled: how far it is to the first and to the last line. */
  scrolled?: (above: number, below: number, up: boolean) => void;
}

/** Output in its colours. What is shown stays where it is while lines come and go around it. */
export function OutputText({ blocks, label, wrap, following = false, scrolled }: OutputTextProps) {
  const field = useRef<HTMLPreElement>(null);
  useSteadyScroll(field, following);
  const last = useRef(0);
  const scroll = (event: { currentTarget: HTMLElement }) => {
    const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
    const up = scrollTop < last.current;
    last.current = scrollTop;
    scrolled?.(scrollTop, scrollHeight - scrollTop - clientHeight, up);
  };
  return (
    <pre ref={field} class={wrap ? "wrap" : ""} tabIndex={0} aria-label={label} dir="ltr" onScroll={scroll}>
      {blocks.map((block) => (
        <BlockText key={block.from} pieces={block.pieces} from={block.from} />
      ))}
    </pre>
  );
}

/** Drawn again only when its pieces change. */
function BlockText({ pieces, from }: { pieces: readonly Piece[]; from: number }) {
  return useMemo(
    () => (
      <span class="block" data-from={from}>
        {pieces.map((piece, index) =>
          piece.style === "" ? (
            piece.text
          ) : (
            <span key={index} class={piece.style}>
              {piece.text}
            </span>
          ),
        )}
      </span>
    ),
    [pieces, from],
  );
}

/** Keeps the end in view, or else the first block that is still there where it was. */
function useSteadyScroll(field: RefObject<HTMLElement | null>, following: boolean): void {
  const tops = useRef<ReadonlyMap<string, number>>(new Map());
  useLayoutEffect(() => {
    const host = field.current;
    if (host === null) return;
    const found = [...host.children].map((one) => [(one as HTMLElement).dataset["from"] ?? "", (one as HTMLElement).offsetTop] as const);
    const same = found.find(([from]) => tops.current.has(from));
    if (following) host.scrollTop = host.scrollHeight;
    else if (same !== undefined) host.scrollTop += same[1] - (tops.current.get(same[0]) ?? 0);
    tops.current = new Map(found);
  });
}
