// Where the focus goes when the control that opened a dialog is gone with what it stood for.
import { useEffect, useRef } from "preact/hooks";

export function focusTitle(): void {
  document.querySelector<HTMLElement>("main h1")?.focus();
}

/** Call what it returns before the dialog closes: the page's title gets the focus after it. */
export function useTitleFocus(open: boolean): () => void {
  const wanted = useRef(false);
  useEffect(() => {
    // while a modal dialog is open, nothing beneath it takes the focus
    if (open || !wanted.current) return;
    wanted.current = false;
    focusTitle();
  }, [open]);
  return () => {
    wanted.current = true;
  };
}
