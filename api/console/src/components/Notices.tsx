// Notices one beneath the other: what was told, to which channel, and what has become of it.
import type { ComponentChildren } from "preact";
import { apiNow } from "../lib/clock";
import { capital, duration, plural } from "../lib/format";
import { type Notice, linesOf, lookOf } from "../lib/notices";
import { shown, visible } from "../lib/safe_text";
import { Link } from "./Link";
import { Columns } from "./Page";
import { Glyph } from "./Status";
import { Ago } from "./Time";

interface NoticesProps {
  of: readonly Notice[];
  /** Whether all are about the task that is shown anyway. */
  ofTask?: boolean;
  /** What can be done about one. */
  command?: (notice: Notice) => ComponentChildren;
}

export function Notices({ of, ofTask = false, command }: NoticesProps) {
  return (
    <table class="table machines notice-table">
      <Columns names={["State", "Channel", "Notice"]} commands={command !== undefined} />
      <tbody>
        {of.map((one) => (
          <tr key={`${one.channel} ${one.id}`} data-notice={one.id}>
            <td data-notice-state={one.state}>
              <StateOf notice={one} />
              <span class="dim under">
                <Ago at={one.settled_at ?? one.at} />
              </span>
            </td>
            <td data-name="channel">
              <bdi class="mono">{shown(one.channel)}</bdi>
            </td>
            <td>
              <Told notice={one} ofTask={ofTask} />
            </td>
            {command !== undefined && <td class="commands">{command(one)}</td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function StateOf({ notice }: { notice: Notice }) {
  const { shape, family, word } = lookOf(notice);
  return (
    <span class={`status ${family}`}>
      <Glyph state={shape} kind={family} />
      <span>{word}</span>
    </span>
  );
}

function Told({ notice, ofTask }: { notice: Notice; ofTask: boolean }) {
  const [first, rest] = linesOf(notice.text);
  const line = <bdi>{shown(first)}</bdi>;
  return (
    <>
      {notice.task_id === null || ofTask ? line : <Link to={`/tasks/${notice.task_id}`}>{line}</Link>}
      <Fate notice={notice} />
      {rest !== "" && (
        <details class="told">
          <summary>
            all of it<span class="off-screen">: {shown(first)}</span>
          </summary>
          <pre tabIndex={0} dir="auto" aria-label={`what ${shown(notice.channel)} is told`}>
            {visible(notice.text)}
          </pre>
        </details>
      )}
    </>
  );
}

/** Tries, why the last one failed, and when the next one comes. */
function Fate({ notice: { state, tries, error, next_try_at: next, in_digest: inDigest, again } }: { notice: Notice }) {
  const parts: string[] = [];
  if (inDigest) parts.push("in a digest");
  if (tries > 0) parts.push(plural(tries, "failed try", "failed tries"));
  if (error !== null && state !== "sent") parts.push(shown(error));
  const left = next === null ? 0 : Date.parse(next) - apiNow.value;
  if (left > 0) parts.push(`${tries > 0 ? "next try" : "to be sent"} in ${duration(left)}`);
  if (again) parts.push("may have been told before");
  return parts.length === 0 ? null : <span class="dim under fate">{capital(parts.join(" · "))}</span>;
}
