// The lock of a task: what it claims, whether it has it, and until when the runner that holds it is believed.
import type { Task } from "../lib/api";
import { apiNow } from "../lib/clock";
import { duration } from "../lib/format";
import type { Holder, Waiter } from "../lib/locks";
import { at, href } from "../lib/router";
import { shown } from "../lib/safe_text";
import { Facts } from "./Facts";
import { ReleaseButton } from "./Release";
import { RunnerWord } from "./Runner";
import { Moment } from "./Time";

/** The task's entry among the locks of its workspace. */
export interface Claim {
  holder: Holder | null;
  waiter: Waiter | null;
}

export function LockBox({ task, claim: { holder, waiter } }: { task: Task; claim: Claim }) {
  if (task.workspace === null) return null;
  const { state, token, since, position } = task.lock;
  return (
    <section class="card lock-box" aria-label="Lock">
      <h2>Lock</h2>
      <Facts
        rows={[
          ["Workspace", <a href={href(`/locks/${encodeURIComponent(task.workspace)}`)}><bdi>{shown(task.workspace)}</bdi></a>],
          ["Paths", <span class="mono">{task.lock_paths.map(shown).join(" ") || "all of it"}</span>],
          ["Mode", task.lock_mode],
          ["State", <b>{state === "none" ? "not claimed" : state}</b>],
          ["Token", token != null && <span class="mono">{token}</span>],
          ["Since", since != null && <Moment at={since} />],
          ["Place in line", position],
          ["Gives up", waiter?.gives_up_at != null && <Until moment={waiter.gives_up_at} />],
          ["Runner", holder?.runner_state != null && <RunnerWord state={holder.runner_state} />],
          ["Lease", holder?.lease_until != null && <Until moment={holder.lease_until} />],
        ]}
      />
      {holder !== null && <ReleaseButton holder={holder} workspace={task.workspace} title={task.title} />}
    </section>
  );
}

function Until({ moment }: { moment: string }) {
  if (at.value !== null) return <Moment at={moment} />;
  const left = Date.parse(moment) - apiNow.value;
  return (
    <>
      <span class="number">{left > 0 ? `in ${duration(left)}` : "is over"}</span>{" "}
      <span class="dim">
        (<Moment at={moment} />)
      </span>
    </>
  );
}
