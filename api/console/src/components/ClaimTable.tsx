import { plural } from "../lib/format";
import { type Entry, type Holder, type Waiter, keyOf } from "../lib/locks";
import { type Card, Lease, ModeGlyph } from "./ClaimRows";
import { TaskLink } from "./Link";
import { More } from "./LockCard";
import { Columns } from "./Page";
import { Paths } from "./Paths";
import { ReleaseButton } from "./Release";
import { RunnerLink } from "./Runner";
import { NowTag } from "./SinceThen";
import { Glyph } from "./Status";
import { Span } from "./Time";

interface ClaimTableProps {
  entry: Entry;
  card: Card;
  most: number;
}

/** All claims of a workspace as a list: those who hold, by token, then those who wait, in their order. */
export function ClaimTable({ entry, card, most }: ClaimTableProps) {
  const all = [...[...entry.holders].sort((a, b) => a.token - b.token), ...entry.waiters];
  if (all.length === 0) return <p class="dim">Nothing is held, and nothing waits.</p>;
  return (
    <>
      <table class="table machines claim-table">
        <Columns names={["State", "Task", "Paths", "Token", "Runner", "Since"]} right={["Token"]} commands />
        <tbody>
          {all.slice(0, most).map((one) => (
            <ClaimRow key={keyOf(one)} claim={one} card={card} />
          ))}
        </tbody>
      </table>
      {all.length > most && <More card={card} words={plural(all.length - most, "more claim")} />}
    </>
  );
}

function ClaimRow({ claim, card }: { claim: Holder | Waiter; card: Card }) {
  const title = card.titles.get(claim.task_id) ?? "";
  const holder = "token" in claim ? claim : null;
  const none = <span class="none">–</span>;
  return (
    <tr class={holder === null ? "claim-row waits" : "claim-row holds"}>
      <td class="claim-state">
        {holder === null ? <Glyph state="waiting" /> : <ModeGlyph mode={claim.mode} />}{" "}
        {"position" in claim ? `waits, ${claim.position}` : claim.mode === "shared" ? "" : "holds"}
        <NowTag change={card.changes.get(keyOf(claim))} />
      </td>
      <th scope="row">
        <TaskLink id={claim.task_id} title={title} />
      </th>
      <td data-name="paths">
        <Paths of={claim.paths} /> {holder === null && claim.mode === "shared" && <span class="dim">shared</span>}
      </td>
      <td class="right number" data-name="token">
        {holder?.token ?? none}
      </td>
      <td data-name="runner">
        {holder === null || holder.runner_id === null ? none : <RunnerLink id={holder.runner_id} />}
        {holder !== null && <Lease holder={holder} />}
      </td>
      <td data-name={holder === null ? "waits" : "held"}>
        <Span from={claim.since} to={null} />
      </td>
      <td class="commands">{holder !== null && <ReleaseButton holder={holder} workspace={card.workspace} title={title} />}</td>
    </tr>
  );
}
