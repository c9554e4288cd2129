// Searches that a person has given a name, in this browser.
import { signal } from "@preact/signals";
import { type Filters, format, parse } from "./query";

export interface View {
  name: string;
  /** As `format` writes it. */
  search: string;
}

const KEY = "towpath-views";
export const MOST_VIEWS = 30;

export const views = signal<readonly View[]>(stored());

function stored(): View[] {
  try {
    return known(JSON.parse(localStorage.getItem(KEY) ?? "[]"));
  } catch {
    return [];
  }
}

/** What of a stored value are views; another version may have written it. */
export function known(value: unknown): View[] {
  if (!Array.isArray(value)) return [];
  const found = value.filter((one): one is View => typeof one?.name === "string" && typeof one?.search === "string");
  return found.slice(0, MOST_VIEWS);
}

/** `views` with one more, in the place of one of the same name. */
export function withView(all: readonly View[], name: string, filters: Filters): View[] {
  const one = { name, search: format(filters) };
  const at = all.findIndex((other) => other.name === name);
  return at < 0 ? [...all, one].slice(-MOST_VIEWS) : all.map((other, index) => (index === at ? one : other));
}

export function saveView(name: string, filters: Filters): void {
  keep(withView(views.value, name, filters));
}

export function removeView(name: string): void {
  keep(views.value.filter((one) => one.name !== name));
}

export function filtersOf(view: View): Filters {
  return parse(view.search);
}

function keep(all: readonly View[]): void {
  views.value = all;
  try {
    localStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    // they last as long as this page then
  }
}
