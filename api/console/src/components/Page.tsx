// What pages have in common: a title with what it counts, and the data beneath; tables have a row of names.
import type { ComponentChildren } from "preact";
import type { Resource } from "../lib/resource";
import { Loaded } from "./States";

interface PageProps<T> {
  /** Class of the page, for its styles. */
  kind: string;
  title: string;
  of: Resource<T>;
  /** Rows of the skeleton. */
  rows: number;
  /** What stands beside the title once the data is there. */
  total: (data: T) => ComponentChildren;
  above?: ComponentChildren;
  beside?: ComponentChildren;
  beneath?: ComponentChildren;
  children: (data: T) => ComponentChildren;
}

/** A page of one resource. */
export function Page<T>({ kind, title, of, rows, total, above, beside, beneath, children }: PageProps<T>) {
  const data = of.data.value;
  return (
    <div class={`page ${kind}`}>
      <header class="page-head">
        {above}
        <div class="title-row">
          <h1 tabIndex={-1}>{title}</h1>
          {data !== null && (
            <span class="dim" role="status">
              {total(data)}
            </span>
          )}
          {beside}
        </div>
        {beneath}
      </header>
      <Loaded of={of} rows={rows}>
        {children}
      </Loaded>
    </div>
  );
}

interface ColumnsProps {
  names: readonly string[];
  /** Those of `names` over columns that are aligned to the right. */
  right?: readonly string[];
  /** Whether the last column has commands, which need no name for the eye. */
  commands?: boolean;
}

/** The head of a table. */
export function Columns({ names, right = [], commands = false }: ColumnsProps) {
  return (
    <thead>
      <tr>
        {names.map((name) => (
          <th key={name} scope="col" class={right.includes(name) ? "right" : undefined}>
            {name}
          </th>
        ))}
        {commands && (
          <th scope="col">
            <span class="off-screen">Commands</span>
          </th>
        )}
      </tr>
    </thead>
  );
}
