import { useRef } from "preact/hooks";
import { capital } from "../lib/format";
import { KINDS, type LogFilters, isFiltered, toParams } from "../lib/log_filters";
import { type EventName, type Kind, named } from "../lib/log_lines";
import { go, href } from "../lib/router";
import { Link } from "./Link";

const KIND_NAMES = Object.keys(KINDS) as Kind[];

/** What the log is filtered by: all of it stands in the address. */
export function LogFilterBar({ filters, disabled }: { filters: LogFilters; disabled: boolean }) {
  return (
    <div class="log-filters">
      <nav class="tabs" aria-label="By kind">
        {[null, ...KIND_NAMES].map((kind) => (
          <Link key={kind} to="/log" params={toParams({ ...filters, kind, event: [] })} current={filters.kind === kind && filters.event.length === 0}>
            {kind === null ? "All" : `${capital(kind)}s`}
          </Link>
        ))}
      </nav>
      <EventMenu filters={filters} disabled={disabled} />
      <Names filters={filters} disabled={disabled} />
      {isFiltered(filters) && (
        <Link to="/log" class="clear">
          Clear all
        </Link>
      )}
    </div>
  );
}

function EventMenu({ filters, disabled }: { filters: LogFilters; disabled: boolean }) {
  const chosen = new Set<EventName>(filters.event);
  const toggle = (event: EventName) => {
    const next = chosen.has(event) ? filters.event.filter((one) => one !== event) : [...filters.event, event];
    go(href("/log", toParams({ ...filters, kind: null, event: next })), { replace: true });
  };
  const words = chosen.size === 0 ? "Any event" : filters.event.length === 1 ? filters.event[0] : `${chosen.size} events`;
  if (disabled) {
    return (
      <button type="button" class="button small" disabled>
        Any event
      </button>
    );
  }
  return (
    <details class="menu log-events">
      <summary class="button small">{words} ▾</summary>
      <div class="popup">
        {KIND_NAMES.map((kind) => (
          <fieldset key={kind}>
            <legend>{kind}</legend>
            {KINDS[kind].map((event) => (
              <label key={event} class="check">
                <input type="checkbox" checked={chosen.has(event)} onChange={() => toggle(event)} />
                {named({ kind, event })}
              </label>
            ))}
          </fieldset>
        ))}
      </div>
    </details>
  );
}

const NAMES = [
  { name: "workspace", label: "Workspace" },
  { name: "task_id", label: "Task id" },
  { name: "actor", label: "Actor" },
] as const;

function Names({ filters, disabled }: { filters: LogFilters; disabled: boolean }) {
  const form = useRef<HTMLFormElement>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    if (form.current === null) return;
    const given = new FormData(form.current);
    const of = (name: string) => String(given.get(name) ?? "").trim() || null;
    go(href("/log", toParams({ ...filters, workspace: of("workspace"), task_id: of("task_id"), actor: of("actor") })));
  };
  return (
    <form ref={form} class="log-names" onSubmit={submit}>
      {NAMES.map(({ name, label }) => (
        <input
          key={`${name} ${filters[name]}`}
          name={name}
          class="field"
          aria-label={label}
          placeholder={label}
          defaultValue={filters[name] ?? ""}
          autocomplete="off"
          spellcheck={false}
          disabled={disabled}
        />
      ))}
      <button type="submit" class="button small" disabled={disabled}>
        Filter
      </button>
    </form>
  );
}
