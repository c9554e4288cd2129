import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";

interface DialogProps {
  title: string;
  /** Called when it is dismissed; without it, the dialog cannot be. */
  close?: () => void;
  /** A class of its own. */
  kind?: string;
  children: ComponentChildren;
}

/** A modal dialog; the browser keeps the focus inside and gives it back. */
export function Dialog({ title, close, kind = "", children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close(); // gives the focus back, which removing it would not
  }, []);
  const cancel = (event: Event) => {
    event.preventDefault();
    close?.();
  };
  // a browser lets a second Escape through, whatever was said to the first
  const closed = () => {
    if (close === undefined) ref.current?.showModal();
    else if (ref.current !== null) close();
  };
  return (
    <dialog ref={ref} class={`dialog ${kind}`} aria-labelledby={id} onCancel={cancel} onClose={closed}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}
