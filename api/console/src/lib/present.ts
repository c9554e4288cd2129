// Tasks as they are now, beside the past that is shown.
import { signal } from "@preact/signals";
import { type Row, get } from "./api";
import { useResource } from "./resource";
import { comparing } from "./router";

const BATCH = 100;

/** Tasks of the shown list as they are now, by id; empty unless the past is compared. */
export const presentRows = signal<ReadonlyMap<string, Row>>(new Map());

/** Keep `presentRows` at the tasks of a list, while the past is compared with now. */
export function usePresentRows(ids: readonly string[]): void {
  const on = comparing.value;
  useResource(
    `present ${on ? ids.join(" ") : ""}`,
    async (abort) => {
      const found = new Map<string, Row>();
      for (let from = 0; on && from < ids.length; from += BATCH) {
        const query = { id: ids.slice(from, from + BATCH), limit: BATCH, view: "row" };
        const page = await get("/tasks", { query, signal: abort });
        for (const task of page.items) found.set(task.id, task);
      }
      presentRows.value = found;
      return found;
    },
    on ? (news) => ids.some((id) => news.tasks.has(id)) : 0,
  );
}
