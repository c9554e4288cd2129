// What a page shows where there is nothing to show: loading, empty, failed.
import type { ComponentChildren } from "preact";
import { now } from "../lib/clock";
import { Problem, Unreachable } from "../lib/api";
import { connection } from "../lib/connection";
import { capital, duration } from "../lib/format";
import type { Resource } from "../lib/resource";
import { at, place } from "../lib/router";
import { Link } from "./Link";

/** Grey lines in the place of rows. */
export function Skeleton({ rows = 8 }: { rows?: number }) {
  return (
    <div class="skeleton" role="status" aria-label="loading">
      {Array.from({ length: rows }, (_, index) => (
        <span key={index} />
      ))}
    </div>
  );
}

interface EmptyProps {
  title: string;
  /** Whether it stands for the whole page. */
  page?: boolean;
  children?: ComponentChildren;
}

export function Empty({ title, page, children }: EmptyProps) {
  return (
    <div class="empty">
      <svg class="sign" viewBox="0 0 48 32" aria-hidden="true">
        <path d="M6 4v24M42 4v24M6 7l16 9-16 9M42 7l-16 9 16 9" />
      </svg>
      {page ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

const TITLES: Record<number, string> = {
  401: "Log in to see this",
  403: "Your role does not permit this",
  404: "Not found",
  422: "The API does not understand this search",
  503: "The API cannot answer at the moment",
  507: "The log is full",
};

function advice(error: Error): ComponentChildren {
  const status = error instanceof Problem ? error.status : 0;
  if (error instanceof Unreachable) return <p>Is the network there, and does <code>towpath up</code> run?</p>;
  if (status === 404) return <Elsewhere />;
  if (status === 507) return <p>Raise <code>TOWPATH_LOG_MAX_BYTES</code>, or give the disk more room. What runs may still end.</p>;
  return null;
}

/** Where to go from what is not there: the list that it would be in, and in the past the present. */
function Elsewhere() {
  const { path } = place.value;
  const [, list = "tasks"] = path.split("/");
  return (
    <p>
      {at.value !== null && (
        <>
          <Link to={path} params={{ at: null }}>
            As it is now
          </Link>{" "}
          ·{" "}
        </>
      )}
      <Link to={`/${list}`}>{list === "log" ? "The log" : `All ${list}`}</Link>
    </p>
  );
}

/** A failure instead of content. */
export function Failed({ error, retry }: { error: Error; retry?: () => void }) {
  const title = error instanceof Unreachable ? "The API does not answer" : undefined;
  const known = error instanceof Problem ? TITLES[error.status] : undefined;
  return (
    <div class="empty failed" role="alert">
      <svg class="sign" viewBox="0 0 32 32" aria-hidden="true">
        <path d="M16 4 30 28H2zM16 13v7M16 24v.2" />
      </svg>
      <h2>{title ?? known ?? "This could not be loaded"}</h2>
      {known !== TITLES[401] && !(error instanceof Unreachable) && <p>{capital(error.message)}</p>}
      {advice(error)}
      <Again />
      {retry && mayPass(error) && (
        <button type="button" class="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Whether the same request may be answered otherwise later: what is wrong in itself, or past, is not. */
function mayPass(error: Error): boolean {
  const status = error instanceof Problem ? error.status : 0;
  return ![400, 403, 422].includes(status) && !(status === 404 && at.value !== null);
}

function Again() {
  const found = connection.value;
  return found.state === "away" ? <p class="dim">Trying again in {duration(found.againAt - now.value)}.</p> : null;
}

interface LoadedProps<T> {
  of: Resource<T>;
  rows?: number;
  children: (data: T) => ComponentChildren;
}

/** The data of a resource, or what stands in its place. Old data stays, dimmed, while the API is away. */
export function Loaded<T>({ of, rows, children }: LoadedProps<T>) {
  const data = of.data.value;
  const error = of.error.value;
  const stale = error !== null || (at.value === null && connection.value.state === "away");
  if (data !== null) {
    return (
      <div class={stale ? "loaded stale" : "loaded"} aria-busy={of.old.value}>
        {children(data)}
      </div>
    );
  }
  if (error !== null) return <Failed error={error} retry={of.reload} />;
  return of.slow.value ? <Skeleton {...(rows === undefined ? {} : { rows })} /> : null;
}
