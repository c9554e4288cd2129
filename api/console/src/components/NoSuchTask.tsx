// An address that is no id of a task: an end of one leads to the task, as on the command line.
import { useEffect } from "preact/hooks";
import { get } from "../lib/api";
import { isIdPart } from "../lib/query";
import { useResource } from "../lib/resource";
import { at, go, href } from "../lib/router";
import { shown } from "../lib/safe_text";
import { Link } from "./Link";
import { Empty, Loaded } from "./States";

export function NoSuchTask({ given }: { given: string }) {
  const found = useResource(`part ${given}`, async (signal) => (isIdPart(given) ? await tasksBy(given, signal) : []));
  const [only, another] = found.data.value ?? [];
  useEffect(() => {
    if (only !== undefined && another === undefined) go(href(`/tasks/${only}`), { replace: true });
  }, [only, another]);
  return <Loaded of={found}>{(ids) => (ids.length === 1 ? null : <Ways given={given} several={ids.length > 1} />)}</Loaded>;
}

/** Ids that end in `part`, or else begin with it; two are enough to know that it is not the only one. */
async function tasksBy(part: string, signal: AbortSignal): Promise<string[]> {
  const query = { id: part.toLowerCase(), view: "row", limit: 2, at: at.value };
  return (await get("/tasks", { query, signal })).items.map((task) => task.id);
}

function Ways({ given, several }: { given: string; several: boolean }) {
  const search = isIdPart(given) ? { id: given.toLowerCase() } : { q: given };
  return (
    <Empty page title={several ? `Several tasks have an id with ${shown(given)}` : `There is no task ${shown(given)}`}>
      <p>
        <Link to="/tasks" params={search}>
          {several ? "Choose among them" : "Search the tasks for it"}
        </Link>{" "}
        · <Link to="/tasks">All tasks</Link>
      </p>
    </Empty>
  );
}
