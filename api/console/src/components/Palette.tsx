// The palette: everything by its name, without a mouse. Ctrl or Cmd and K open it from anywhere but a dialog.
import { type Signal, signal, useSignal } from "@preact/signals";
import { useEffect, useId, useMemo } from "preact/hooks";
import { shortcut } from "../lib/keys";
import { type Entry, type Group, matching, step } from "../lib/palette";
import { actions, findTasks, moments, pages, runners, workspaces } from "../lib/palette_finds";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";

const PAUSE_MS = 120;

const open = signal(false);

function show(): void {
  if (document.querySelector("dialog[open]") === null) open.value = true;
}

/** The button that opens the palette, and the palette. */
export function Palette() {
  useEffect(() => {
    const end = shortcut({ keys: "Ctrl+K", what: "find pages, tasks, workspaces, runners and actions", run: show });
    const press = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
      event.preventDefault();
      show();
    };
    document.addEventListener("keydown", press);
    return () => {
      end();
      document.removeEventListener("keydown", press);
    };
  }, []);
  return (
    <>
      <button type="button" class="bare" aria-label="command palette" title="command palette (Ctrl K)" onClick={show}>
        <Icon name="prompt" />
      </button>
      {open.value && <Finder />}
    </>
  );
}

function close(): void {
  open.value = false;
}

/** What `find` last answered for `key`; what it finds later, or fails to, changes nothing else. */
function useFound(key: string, find: (signal: AbortSignal) => Promise<Entry[]>): Signal<readonly Entry[]> {
  const found = useSignal<readonly Entry[]>([]);
  useEffect(() => {
    const abort = new AbortController();
    const later = setTimeout(() => {
      find(abort.signal).then(
        (entries) => {
          if (!abort.signal.aborted) found.value = entries;
        },
        () => undefined,
      );
    }, PAUSE_MS);
    return () => {
      clearTimeout(later);
      abort.abort();
    };
  }, [key]);
  return found;
}

function useGroups(text: string): Group[] {
  const tasks = useFound(text, (abort) => findTasks(text, abort));
  const places = useFound("", workspaces);
  const hosts = useFound("", runners);
  // the dialog covers the page: its controls are those of the moment in which it was opened
  const own = useMemo(() => [pages(), actions()] as const, []);
  const some = text.trim() !== "";
  return [
    { title: "Time", entries: moments(text) },
    { title: "Pages", entries: matching(own[0], text) },
    { title: "Actions of this page", entries: matching(own[1], text) },
    { title: "Tasks", entries: some ? tasks.value : [] },
    { title: "Workspaces", entries: some ? matching(places.value, text) : [] },
    { title: "Runners", entries: some ? matching(hosts.value, text) : [] },
  ].filter((group) => group.entries.length > 0);
}

function Finder() {
  const text = useSignal("");
  const chosen = useSignal(0);
  const id = useId();
  const groups = useGroups(text.value);
  const all = groups.flatMap((group) => group.entries);
  const index = Math.min(chosen.value, Math.max(0, all.length - 1));
  const pick = (entry: Entry | undefined) => {
    if (entry === undefined) return;
    close();
    // once the dialog is gone and has given the focus back
    setTimeout(() => entry.run());
  };
  const press = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by !== undefined) chosen.value = step(index, by, all.length);
    else if (event.key === "Enter") pick(all[index]);
    else return;
    event.preventDefault();
  };
  const optionId = (entry: Entry) => `${id}-${all.indexOf(entry)}`;
  return (
    <Dialog title="Find anything" close={close} kind="palette">
      <input
        class="field"
        role="combobox"
        aria-label="Find anything"
        aria-expanded={all.length > 0}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={all.length > 0 ? `${id}-${index}` : undefined}
        placeholder="page, task, workspace, runner, action, sequence, or 10m ago"
        spellcheck={false}
        autocomplete="off"
        autofocus
        onInput={(event) => {
          text.value = event.currentTarget.value;
          chosen.value = 0;
        }}
        onKeyDown={press}
      />
      <div role="listbox" id={`${id}-list`} aria-label="Found" class="found">
        {groups.map((group) => (
          <div role="group" key={group.title} aria-label={group.title}>
            <p aria-hidden="true">{group.title}</p>
            {group.entries.map((entry) => (
              <Option key={entry.id} id={optionId(entry)} entry={entry} selected={entry === all[index]} pick={pick} />
            ))}
          </div>
        ))}
      </div>
      <p class="dim" role="status">
        {all.length === 0 ? "Nothing is called so." : <span class="off-screen">{all.length} found</span>}
      </p>
    </Dialog>
  );
}

interface OptionProps {
  id: string;
  entry: Entry;
  selected: boolean;
  pick: (entry: Entry) => void;
}

function Option({ id, entry, selected, pick }: OptionProps) {
  useEffect(() => {
    if (selected) document.getElementById(id)?.scrollIntoView({ block: "nearest" });
  }, [id, selected]);
  return (
    <div role="option" id={id} aria-selected={selected} class="option" onClick={() => pick(entry)}>
      <bdi>{entry.label}</bdi>
      {entry.detail !== undefined && <small>{entry.detail}</small>}
    </div>
  );
}
