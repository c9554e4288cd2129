// Workspaces: the registered directories, what is open in them, and how one is added or removed.
import { useSignal } from "@preact/signals";
import { PermittedButton } from "../components/Command";
import { Link } from "../components/Link";
import { Columns, Page } from "../components/Page";
import { Empty } from "../components/States";
import { Moment } from "../components/Time";
import { AddButton, POLICIES, RemoveDialog } from "../components/WorkspaceDialogs";
import { type Schemas, get } from "../lib/api";
import { useTitleFocus } from "../lib/focus";
import { count, plural } from "../lib/format";
import { ADD_WORKSPACE } from "../lib/hints";
import { useMoment } from "../lib/resource";
import { at } from "../lib/router";
import { shown } from "../lib/safe_text";

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

async function load(then: string | null, signal: AbortSignal): Promise<Shown> {
  const query = { limit: PAGE, at: then };
  const [page, locks] = await Promise.all([get("/workspaces", { query, signal }), get("/locks", { query, signal })]);
  const open = locks.items.map((one) => [one.workspace, { held: one.holders.length, waiting: one.waiters.length }] as const);
  return { workspaces: page.items, open: new Map(open), more: page.next_cursor != null || locks.next_cursor != null };
}

export function WorkspacesPage() {
  const found = useMoment("workspaces", load, (news) => news.workspaces.size > 0);
  const removing = useSignal<Workspace | null>(null);
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
      <Page
        kind="workspaces"
        title="Workspaces"
        of={found}
        rows={4}
        total={({ workspaces }) => plural(workspaces.length, "workspace")}
        beside={<AddButton after={found.reload} />}
      >
        {(all) => (all.workspaces.length === 0 ? <NoWorkspaces /> : <Rows {...all} choose={choose} />)}
      </Page>
      {removing.value !== null && at.value === null && <RemoveDialog workspace={removing.value} close={close} />}
    </>
  );
}

function Rows({ workspaces, open, more, choose }: Shown & { choose: (one: Workspace) => void }) {
  return (
    <>
      <table class="table machines workspace-table">
        <Columns names={["Workspace", "Root", "Lost runner", "Open claims"]} commands={at.value === null} />
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
      <td data-name="lost runner" title={POLICIES[policy]}>
        {policy} <span class="dim">· {policy === "hold" ? "keeps its locks" : "frees its locks"}</span>
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
      {at.value === null && (
        <td class="commands">
          <PermittedButton
            operation="DELETE /workspaces/{workspace}"
            kind="small"
            label="Remove…"
            name={`Remove ${shown(id)}`}
            press={() => choose(workspace)}
          />
        </td>
      )}
    </tr>
  );
}

function NoWorkspaces() {
  if (at.value !== null) return <Empty title="No workspace was registered" />;
  return (
    <Empty title="No workspace yet">
      <p>A workspace is a directory whose paths can be locked. Add one here, or from a terminal:</p>
      <pre>{ADD_WORKSPACE}</pre>
    </Empty>
  );
}
