// Searches under names, kept in this browser.
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { type Filters, format, isEmpty } from "../lib/query";
import { shown } from "../lib/safe_text";
import { filtersOf, removeView, saveView, views } from "../lib/saved_views";
import { TextField } from "./Form";
import { Icon } from "./Icon";
import { Link } from "./Link";

export function SavedViews({ filters }: { filters: Filters }) {
  const open = useSignal(false);
  const menu = useRef<HTMLDetailsElement>(null);
  const close = () => {
    if (menu.current !== null) menu.current.open = false;
    menu.current?.querySelector("summary")?.focus();
  };
  const escape = (event: KeyboardEvent) => {
    if (event.key === "Escape") close();
  };
  const toggle = (event: { currentTarget: HTMLDetailsElement }) => {
    open.value = event.currentTarget.open;
  };
  return (
    <details ref={menu} class="menu saved-views" onKeyDown={escape} onToggle={toggle}>
      <summary class="button small">Views{views.value.length > 0 && ` (${views.value.length})`}</summary>
      {open.value && <Menu filters={filters} close={close} />}
    </details>
  );
}

function Menu({ filters, close }: { filters: Filters; close: () => void }) {
  const name = useSignal("");
  const here = format(filters);
  const save = (event: Event) => {
    event.preventDefault();
    if (name.value.trim() === "") return;
    saveView(name.value.trim(), filters);
    close();
  };
  return (
    <div class="popup">
      {views.value.length === 0 && <p class="dim">Searches that you save here stay in this browser.</p>}
      <ul>
        {views.value.map((view) => (
          <li key={view.name}>
            <Link to="/tasks" params={filtersOf(view)} current={view.search === here} title={shown(view.search) || "all tasks"}>
              <bdi>{shown(view.name)}</bdi>
            </Link>
            <button type="button" class="bare" aria-label={`Remove view ${shown(view.name)}`} onClick={() => removeView(view.name)}>
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
      <form onSubmit={save}>
        <TextField label={isEmpty(filters) ? "Save this list as" : "Save this search as"} maxLength={60} required value={name} />
        <button type="submit" class="button">
          Save
        </button>
      </form>
    </div>
  );
}
