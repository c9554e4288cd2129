// The channels of the notifier: what they were sent, what waits, and what can be sent again.
import { post } from "../lib/api";
import { count, duration, plural } from "../lib/format";
import type { Channel } from "../lib/notices";
import { shown } from "../lib/safe_text";
import { DialogButton, recorded } from "./Command";
import { FormDialog } from "./Form";
import { Columns } from "./Page";

interface ChannelsProps {
  of: readonly Channel[];
  /** Until when the failures that a person has seen were given up. */
  upto: string | null;
  after: () => void;
}

export function ChannelTable({ of, upto, after }: ChannelsProps) {
  return (
    <table class="table machines channel-table">
      <Columns names={["Channel", "Sent", "Waiting", "Failed tries", "Given up"]} commands />
      <tbody>
        {of.map((one) => (
          <tr key={one.name} data-channel={one.name}>
            <th scope="row">
              <bdi class="mono">{shown(one.name)}</bdi>
              <span class="dim under">{one.kind === null ? "not in the notifier's file: nothing is sent to it" : shown(one.kind)}</span>
            </th>
            <td class="number" data-name="sent">
              {count(one.sent)}
            </td>
            <td class="number" data-name="waiting">
              {count(one.waiting)}
              {one.lag_seconds > 0 && <span class="under late">{duration(one.lag_seconds * 1000)} late</span>}
            </td>
            <td class="number" data-name="failed tries">
              {count(one.failed)}
            </td>
            <td class={one.dead > 0 ? "number strong" : "number"} data-name="given up">
              {count(one.dead)}
            </td>
            <td class="commands">
              {one.dead > 0 && one.kind !== null && upto !== null && (
                <DialogButton operation="POST /notices/replay" kind="small" label="Send again…" name={`Send again what ${shown(one.name)} did not take`} after={after}>
                  {(close) => <ReplayDialog channel={one} upto={upto} close={close} />}
                </DialogButton>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function ReplayDialog({ channel: { name, dead }, upto, close }: { channel: Channel; upto: string; close: () => void }) {
  const submit = async () => {
    const run = () => post("/notices/replay", {}, { channel: name, upto });
    await recorded(run, `What ${name} did not take is sent again.`);
    close();
  };
  return (
    <FormDialog title={`Send ${plural(dead, "notice")} to ${shown(name)} again?`} close={close} keep="Leave them" send="Send again" kind="first" submit={submit}>
      <p>
        All that was given up for this channel until now is tried anew, for a day. Does its receiver answer again?{" "}
        <code>towpath notifier test {shown(name)}</code> tells.
      </p>
    </FormDialog>
  );
}
