// What is chosen, and what can be done with it.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Row } from "../lib/api";
import { type Action, type Target, target } from "../lib/bulk";
import { apiTime } from "../lib/clock";
import { count, plural } from "../lib/format";
import { shortcut } from "../lib/keys";
import { type Filters, toApi } from "../lib/query";
import { roleMissing } from "../lib/session";
import { BulkDialog } from "./BulkDialog";
import { PermittedButton } from "./Command";

interface SelectionBarProps {
  rows: readonly Row[];
  picked: Signal<ReadonlySet<string>>;
  filters: Filters;
  /** Whether the search finds more than is loaded, and how many, in words. */
  others: string | null;
  after: () => void;
}

interface Chosen {
  action: Action;
  /** Null: all that the search finds. */
  targets: Target[] | null;
}

export function SelectionBar({ rows, picked, filters, others, after }: SelectionBarProps) {
  const chosen = useSignal<Chosen | null>(null);
  const all = useSignal(false);
  // a list that has begun anew has left some of them out
  const here = picked.value.size === 0 ? [] : rows.filter((one) => picked.value.has(one.id));
  const size = here.length;
  const open = (action: Action) => {
    if (size === 0 || roleMissing("POST /tasks/bulk") !== null) return;
    chosen.value = { action, targets: all.value ? null : here.map(target) };
  };
  // what is chosen by hand after that is no longer all
  useEffect(() => {
    all.value = false;
  }, [picked.value]);
  const latest = useRef(open);
  latest.current = open;
  useEffect(() => {
    const ends = [
      shortcut({ keys: "c", what: "cancel what is chosen", run: () => latest.current("cancel") }),
      shortcut({ keys: "d", what: "run again what is chosen", run: () => latest.current("dispatch") }),
    ];
    return () => ends.forEach((end) => end());
  }, []);
  const clear = () => {
    picked.value = new Set();
    all.value = false;
  };
  const close = (done: boolean) => {
    chosen.value = null;
    if (done) clear();
    after();
  };
  const what = all.value ? "all that match" : plural(size, "task");
  return (
    <>
      {size > 0 && (
        <div class="selection" role="region" aria-label="Chosen tasks">
          <strong role="status">{all.value ? "All that this search finds" : `${count(size)} selected`}</strong>
          {others !== null && !all.value && (
            <button type="button" class="bare" onClick={() => { all.value = true; }}>
              Select all {others} that match
            </button>
          )}
          <span class="gap" />
          <PermittedButton operation="POST /tasks/bulk" kind="danger" label="Cancel…" name={`Cancel ${what}…`} press={() => open("cancel")} />
          <PermittedButton operation="POST /tasks/bulk" label="Run again…" name={`Run ${what} again…`} press={() => open("dispatch")} />
          <button type="button" class="bare" onClick={clear}>
            Clear
          </button>
        </div>
      )}
      {chosen.value !== null && <BulkDialog {...chosen.value} query={() => toApi(filters, apiTime())} close={close} />}
    </>
  );
}
