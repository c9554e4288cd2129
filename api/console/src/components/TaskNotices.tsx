// What was told about a task. It is loaded when it is opened: the page has enough to ask for.
import { useSignal } from "@preact/signals";
import { get } from "../lib/api";
import { useResource } from "../lib/resource";
import { at } from "../lib/router";
import { Link } from "./Link";
import { Notices } from "./Notices";
import { Loaded } from "./States";

const REFRESH_SECONDS = 5;
const PAGE = 50;

export function TaskNotices({ id }: { id: string }) {
  const open = useSignal(false);
  return (
    <section class="card" aria-label="Notices">
      <h2>Notices</h2>
      {at.value !== null ? (
        <p class="dim">
          They are not in the log, so what was told by this moment is not known:{" "}
          <Link to={`/tasks/${id}`} params={{ at: null }}>
            the task as it is now
          </Link>
          .
        </p>
      ) : (
        <details
          onToggle={(event) => {
            open.value = event.currentTarget.open;
          }}
        >
          <summary>Who was told about this task</summary>
          {open.value && <Told id={id} />}
        </details>
      )}
    </section>
  );
}

async function load(id: string, signal: AbortSignal) {
  const [{ configured }, { items, next_cursor: more }] = await Promise.all([
    get("/notices/channels", { signal }),
    get("/notices", { query: { task: id, limit: PAGE }, signal }),
  ]);
  return { configured, items, more: more != null };
}

function Told({ id }: { id: string }) {
  const found = useResource(`notices ${id}`, (signal) => load(id, signal), { news: (news) => news.tasks.has(id), seconds: REFRESH_SECONDS });
  return (
    <Loaded of={found} rows={2}>
      {({ configured, items, more }) => (
        <>
          {items.length > 0 && <Notices of={items} ofTask />}
          {items.length === 0 && <p class="dim">{configured ? "Nobody: no rule of the notifier's file asked for it." : "Nobody: no notifier is configured."}</p>}
          <p class="dim">
            {more && `The newest ${PAGE}. `}
            <Link to="/notices">{configured ? "All channels" : "How to set one up"}</Link>
          </p>
        </>
      )}
    </Loaded>
  );
}
