import type { Result, Target } from "../lib/bulk";
import { count } from "../lib/format";
import { shown } from "../lib/safe_text";
import { TaskLink } from "./Link";

const MOST = 200;
const FIRST: readonly Result["outcome"][] = ["unknown", "refused", "unchanged", "recorded"];

interface BulkResultsProps {
  targets: readonly Target[];
  results: ReadonlyMap<string, Result>;
}

/** What became of each, what needs a look first. */
export function BulkResults({ targets, results }: BulkResultsProps) {
  const titles = new Map(targets.map((one) => [one.id, one.title]));
  const rows = [...results].toSorted(([, one], [, other]) => FIRST.indexOf(one.outcome) - FIRST.indexOf(other.outcome));
  if (rows.length === 0) return null;
  return (
    <div class="bulk-results" tabIndex={0} role="region" aria-label="Results">
      <ul>
        {rows.slice(0, MOST).map(([id, { outcome, detail }]) => (
          <li key={id}>
            <b class={outcome}>{outcome}</b> <TaskLink id={id} title={titles.get(id) ?? null} /> {detail !== null && <span class="dim">{shown(detail)}</span>}
          </li>
        ))}
      </ul>
      {rows.length > MOST && <p class="dim">and {count(rows.length - MOST)} more; Copy results has all.</p>}
    </div>
  );
}
