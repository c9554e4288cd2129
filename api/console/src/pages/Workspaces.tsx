// Workspaces: the registered directories, what is open in them, and how one is added or removed.
import { useSignal } from "@preact/signals";
import { Permitted } from "../components/Command";
import { Link } from "../components/Link";
import { Empty, Loaded } from "../components/States";
import { Moment } from "../components/Time";
import { AddButton, POLICIES, RemoveDialog } from "../components/WorkspaceDialogs";
import { type Schemas, get } from "../lib/api";
import { useTitleFocus } from "../lib/focus";
import { count, plural } from "../lib/format";
import { useResource } from "../lib/resource";
import { at } from "../lib/router";
import { shown } from "../lib/safe_text";

const REFRESH_SECONDS = 3;
const PAGE = 500;

type Workspace = Schemas["WorkspaceRead"];
interface Open {
  held: number;
  waiting: number;
}

interface Shown {
  workspaces: readonly Workspace[];
  /** Open claims by workspace. */
  open: ReadonlyMap<string, Open>;
  more: boolean;
}

async function load(signal: AbortSignal): Promise<Shown> {
  const [page, locks] = await Promise.all([
    get("/workspaces", { query: { limit: PAGE }, signal }),
    get("/locks", { query: { limit: PAGE }, signal }),
  ]);
  const open = locks.items.map((one) => [one.workspace, { held: one.holders.length, waiting: one.waiters.length }] as const);
  return { workspaces: page.items, open: new Map(open), more: page.next_cursor != null || locks.next_cursor != null };
}

export function WorkspacesPage() {
  return <div class="page workspaces">{at.value === null ? <Live /> : <NotOfThePast />}</div>;
}

function NotOfThePast() {
  return (
    <>
      <h1>Workspaces</h1>
      <Empty title="The list shows the present only">
        <p>
          What was held then is on <Link to="/locks">the page of locks</Link>.
        </p>
      </Empty>
    </>
  );
}

function Live() {
  const found = useResource("workspaces", load, { seconds: REFRESH_SECONDS });
  const removing = useSignal<Workspace | null>(null);
  const data = found.data.value;
  const toTitle = useTitleFocus(removing.value !== null);
  const close = (done: boolean) => {
    if (done) toTitle();
    removing.value = null;
    found.reload();
  };
  const choose = (one: Workspace) => {
    removing.value = one;
  };
  return (
    <>
      <header class="page-head">
        <div class="title-row">
          <h1 tabIndex={-1}>Workspaces</h1>
          {data !== null && (
            <span class="dim" role="status">
              {plural(data.workspaces.length, "workspace")}
            </span>
          )}
          <AddButton after={found.reload} />
        </div>
      </header>
      <Loaded of={found} rows={4}>
        {(all) => (all.workspaces.length === 0 ? <NoWorkspaces /> : <Rows {...all} choose={choose} />)}
      </Loaded>
      {removing.value !== null && <RemoveDialog workspace={removing.value} close={close} />}
    </>
  );
}

function Rows({ workspaces, open, more, choose }: Shown & { choose: (one: Workspace) => void }) {
  return (
    <>
      <table class="table workspace-table">
        <thead>
          <tr>
            <th scope="col">Workspace</th>
            <th scope="col">Root</th>
            <th scope="col">Runner lost</th>
            <th scope="col">Open claims</th>
            <th scope="col">
              <span class="off-screen">Commands</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {workspaces.map((one) => (
            <Row key={one.id} workspace={one} open={open.get(one.id) ?? { held: 0, waiting: 0 }} choose={choose} />
          ))}
        </tbody>
      </table>
      {more && <p class="dim left-out">The first {PAGE} by name; there are more.</p>}
    </>
  );
}

interface RowProps {
  workspace: Workspace;
  open: Open;
  choose: (one: Workspace) => void;
}

function Row({ workspace, open, choose }: RowProps) {
  const { id, root, on_runner_lost: policy, void: undone } = workspace;
  return (
    <tr>
      <th scope="row">
        <Link to={`/locks/${encodeURIComponent(id)}`}>{shown(id)}</Link>
      </th>
      <td class="mono" data-name="root">
        <bdi>{shown(root)}</bdi>
        {undone != null && (
          <p class="note">
            Event {count(undone.seq)}, {undone.event} by <bdi>{shown(undone.by)}</bdi> at <Moment at={undone.time} />, has no effect: {undone.reason}.
          </p>
        )}
      </td>
      <td data-name="runner lost" title={POLICIES[policy]}>
        {policy}
      </td>
      <td class="number" data-name="open claims">
        {open.held + open.waiting === 0 ? (
          <span class="none">none</span>
        ) : (
          <Link to={`/locks/${encodeURIComponent(id)}`}>
            {count(open.held)} held · {count(open.waiting)} waiting
          </Link>
        )}
      </td>
      <td>
        <Permitted operation="DELETE /workspaces/{workspace}">
          {(missing) => (
            <button
              type="button"
              class="button small"
              disabled={missing !== undefined}
              aria-describedby={missing}
              aria-label={`Remove ${shown(id)}`}
              onClick={() => choose(workspace)}
            >
              Remove…
            </button>
          )}
        </Permitted>
      </td>
    </tr>
  );
}

function NoWorkspaces() {
  return (
    <Empty title="No workspace yet">
      <p>A workspace is a directory whose paths can be locked. Add one here, or from a terminal:</p>
      <pre>{'towpath workspaces add shop "$PWD/shop"'}</pre>
    </Empty>
  );
}
