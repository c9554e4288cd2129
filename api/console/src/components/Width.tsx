// How wide an element is: pictures that fit it are drawn anew when that changes.
import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useLayoutEffect } from "preact/hooks";

/** In pixels; 0 before it is known. */
export function useWidth(host: RefObject<HTMLElement | null>): number {
  const width = useSignal(0);
  useLayoutEffect(() => {
    if (host.current === null) return;
    const seen = new ResizeObserver(([entry]) => {
      if (entry !== undefined) width.value = Math.floor(entry.contentRect.width);
    });
    seen.observe(host.current);
    return () => seen.disconnect();
  }, []);
  return width.value;
}
