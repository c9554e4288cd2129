// The signed checkpoints: what they cover, the file to keep elsewhere, and how to verify with it from there.
import { CopyButton } from "./CopyButton";
import { Loaded } from "./States";
import { Ago } from "./Time";
import { Columns } from "./Page";
import { type Schemas, address, get } from "../lib/api";
import { commandLine, count } from "../lib/format";
import { natsAddress } from "../lib/nats_address";
import { useResource } from "../lib/resource";
import { href } from "../lib/router";

const REFRESH_SECONDS = 10;
const SHOWN = 8;
type Page = Schemas["CheckpointPage"];

export function Checkpoints() {
  const found = useResource("checkpoints", (signal) => get("/checkpoints", { query: { limit: SHOWN }, signal }), REFRESH_SECONDS);
  return (
    <section class="card" aria-labelledby="checkpoints">
      <h2 id="checkpoints">Signed checkpoints</h2>
      <Loaded of={found} rows={4}>
        {(page) => <Content page={page} />}
      </Loaded>
    </section>
  );
}

function Content({ page }: { page: Page }) {
  const { covered_upto: covered, last_seq: last } = page;
  const open = Math.max(0, last - covered);
  return (
    <>
      <p class="covered" role="status">
        {covered === 0 ? "No checkpoint covers the log yet." : `Covered up to ${count(covered)} of ${count(last)}.`}{" "}
        {open > 0 && covered > 0 && <span class="dim">{count(open)} newer events follow with the next one.</span>}
      </p>
      <svg class="bar cover" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <rect class="track" width="100" height="8" />
        <rect width={last === 0 ? 0 : (100 * Math.min(covered, last)) / last} height="8" />
      </svg>
      {page.count > 0 && <Newest page={page} />}
      <Elsewhere page={page} />
    </>
  );
}

function Newest({ page }: { page: Page }) {
  return (
    <>
      <table class="table machines checkpoint-table">
        <Columns names={["Number", "Events", "Signed", "Key", "Root of all events"]} />
        <tbody>
          {page.items.map((one) => (
            <tr key={one.number}>
              <th scope="row" class="number">
                {count(one.number)}
              </th>
              <td class="number" data-name="events">
                <a href={href(`/log/${one.first_seq}`)}>{count(one.first_seq)}</a> to <a href={href(`/log/${one.last_seq}`)}>{count(one.last_seq)}</a>
              </td>
              <td data-name="signed">
                <Ago at={one.time} />
              </td>
              <td class="mono" data-name="key">
                {one.key_id}
              </td>
              <td class="mono root" data-name="root">
                {one.tree_root}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {page.count > page.items.length && (
        <p class="dim left-out">
          The newest {page.items.length} of {count(page.count)}.
        </p>
      )}
    </>
  );
}

function Elsewhere({ page }: { page: Page }) {
  const keys = Object.values(page.public_keys);
  const nats = natsAddress(page.nats_urls, location.hostname);
  const command = [
    "towpath verify --no-read-model --record \\",
    ...(nats.url === null ? [] : [`  --nats-url ${commandLine([nats.url])} \\`]),
    `  --url ${location.origin} \\`,
    ...keys.map((key) => `  --public-key ${key} \\`),
    "  --checkpoints towpath-checkpoints.jsonl",
  ].join("\n");
  return (
    <div class="elsewhere">
      <h3>Verify it from elsewhere</h3>
      <p>
        A server that vouches for itself proves little: who can rewrite its log may also write this page. Keep the file and the public key
        where its operators cannot change them, and run this on another machine, against that copy.
      </p>
      <p class="answers">
        <a class="button" href={address("/checkpoints/export")} download="towpath-checkpoints.jsonl">
          Export checkpoints
        </a>
        <CopyButton text={command.replaceAll("\\\n ", "")} label="copy the command" />
      </p>
      <pre tabIndex={0} aria-label="command">
        {command}
      </pre>
      <p class="dim">{nats.words}</p>
      {keys.length === 0 && <p class="dim">This process does not know the public keys; `towpath checkpoint export` on the projector's host has them.</p>}
    </div>
  );
}
