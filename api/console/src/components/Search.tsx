// The search of tasks, from anywhere: a combobox that offers qualifiers and their values. On the list of tasks it
// holds the filters that are set.
import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import { type Suggestion, applied, complete } from "../lib/completion";
import { shortcut } from "../lib/keys";
import { known, refreshKnown } from "../lib/known_values";
import { format, fromUrl, isTaskId, parse } from "../lib/query";
import { go, href, place } from "../lib/router";
import { shown } from "../lib/safe_text";
import { Icon } from "./Icon";

export function Search() {
  const held = place.value.path === "/tasks" ? format(fromUrl(place.value.query)) : "";
  return <Field key={held} held={held} />;
}

function Field({ held }: { held: string }) {
  const field = useRef<HTMLInputElement>(null);
  const [text, caret, open, chosen] = [useSignal(held), useSignal(held.length), useSignal(false), useSignal(-1)];
  const list = useId();
  useEffect(() => shortcut({ keys: "/", what: "search tasks", run: () => field.current?.select() }), []);
  const found = complete(text.value, caret.value, known.value);
  const options = open.value ? found.options : [];
  const moved = () => {
    caret.value = field.current?.selectionStart ?? text.value.length;
    chosen.value = -1;
  };
  const show = () => {
    open.value = true;
    void refreshKnown();
    moved();
  };
  const take = (one: Suggestion) => {
    const next = applied(text.value, found, one);
    text.value = next.text;
    caret.value = next.caret;
    chosen.value = -1;
    field.current?.focus();
    // the value is set with the next render
    requestAnimationFrame(() => field.current?.setSelectionRange(next.caret, next.caret));
  };
  const submit = (event: Event) => {
    event.preventDefault();
    open.value = false;
    const wanted = text.value.trim();
    if (isTaskId(wanted)) go(href(`/tasks/${wanted.toLowerCase()}`));
    else go(href("/tasks", { ...kept(), ...parse(wanted) }));
    field.current?.blur();
  };
  const press = (event: KeyboardEvent) => {
    const one = options[chosen.value];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open.value) show();
      const by = event.key === "ArrowDown" ? 1 : -1;
      chosen.value = Math.max(-1, Math.min(found.options.length - 1, chosen.value + by));
    } else if (event.key === "Enter" && one !== undefined) {
      event.preventDefault();
      take(one);
    } else if (event.key === "Escape" && options.length > 0) {
      event.preventDefault();
      open.value = false;
      chosen.value = -1;
    }
  };
  return (
    <form role="search" class="search" onSubmit={submit}>
      <Icon name="search" />
      <input
        ref={field}
        type="text"
        role="combobox"
        class="field"
        aria-label="Search tasks"
        aria-autocomplete="list"
        aria-expanded={options.length > 0}
        aria-controls={list}
        aria-activedescendant={chosen.value >= 0 ? `${list}-${chosen.value}` : undefined}
        placeholder="status:failed workspace:shop …"
        spellcheck={false}
        autocomplete="off"
        value={text}
        onInput={(event) => {
          text.value = event.currentTarget.value;
          show();
        }}
        onFocus={show}
        onClick={show}
        onKeyUp={(event) => {
          if (event.key === "ArrowLeft" || event.key === "ArrowRight" || event.key === "Home" || event.key === "End") moved();
        }}
        onKeyDown={press}
        onBlur={() => {
          open.value = false;
        }}
      />
      <kbd aria-hidden="true">/</kbd>
      <ul id={list} role="listbox" class="suggestions popup" aria-label="Suggestions" hidden={options.length === 0}>
        {options.map((one, index) => (
          <li
            key={one.text}
            id={`${list}-${index}`}
            role="option"
            aria-selected={index === chosen.value}
            onPointerDown={(event) => {
              event.preventDefault(); // the field keeps the focus
              take(one);
            }}
          >
            <bdi class="mono">{shown(one.text)}</bdi> <span class="dim">{one.hint}</span>
          </li>
        ))}
      </ul>
    </form>
  );
}

/** What is no filter, and stays on the list of tasks when another search is made. */
function kept(): Record<string, string | null> {
  if (place.value.path !== "/tasks") return {};
  return { order: place.value.query.get("order"), sort: place.value.query.get("sort") };
}
