// Keyboard shortcuts: single keys, or `g` and a letter. Never while something is typed, and they can be switched off.
import { signal } from "@preact/signals";

const KEY = "towpath-keys";
const SEQUENCE_SECONDS = 1.5;

function stored(): boolean {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch {
    return true;
  }
}

export const keysOn = signal(stored());

export function switchKeys(on: boolean): void {
  keysOn.value = on;
  try {
    localStorage.setItem(KEY, on ? "on" : "off");
  } catch {
    // it holds for this page then
  }
}

export interface Shortcut {
  /** One key such as `/` or `Shift+ArrowLeft`, or two such as `g t`. */
  keys: string;
  what: string;
  run: () => void;
}

const known = new Map<string, Shortcut>();

/** All shortcuts that work now, for the page of help. */
export function shortcuts(): Shortcut[] {
  return [...known.values()];
}

/** Let a shortcut work until the function that is returned is called. */
export function shortcut(one: Shortcut): () => void {
  known.set(one.keys, one);
  return () => {
    if (known.get(one.keys) === one) known.delete(one.keys);
  };
}

/** Where keys mean what they write, or what a dialog makes of them. */
const TYPING = "input:not([type=range], [type=checkbox], [type=radio]), textarea, select, dialog, [contenteditable]";

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest(TYPING) !== null;
}

export function followKeys(): void {
  let first: { key: string; at: number } | null = null;
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || !keysOn.value || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const begun = first !== null && Date.now() - first.at < SEQUENCE_SECONDS * 1000 ? `${first.key} ` : "";
    const key = event.shiftKey && event.key.length > 1 ? `Shift+${event.key}` : event.key;
    const found = known.get(begun + key) ?? known.get(key);
    first = found === undefined ? { key, at: Date.now() } : null;
    if (found === undefined) return;
    event.preventDefault();
    found.run();
  });
}
