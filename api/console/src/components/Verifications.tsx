// Verifications that people have recorded: who, when, what range, with what result, and the command.
import { useSignal } from "@preact/signals";
import { CopyButton } from "./CopyButton";
import { Columns } from "./Page";
import { Loaded } from "./States";
import { Ago } from "./Time";
import { type Schemas, get } from "../lib/api";
import { count, plural } from "../lib/format";
import { useResource } from "../lib/resource";
import { href } from "../lib/router";
import { shown } from "../lib/safe_text";

const REFRESH_SECONDS = 10;
const PAGE = 10;
type Verification = Schemas["VerificationRead"];

export function Verifications() {
  const limit = useSignal(PAGE);
  const load = (signal: AbortSignal) => get("/verifications", { query: { limit: limit.value }, signal });
  const found = useResource(`verifications ${limit.value}`, load, REFRESH_SECONDS);
  return (
    <section class="card" aria-labelledby="verifications">
      <h2 id="verifications">Verifications</h2>
      <p class="dim">
        What callers of <code>towpath verify --record</code> state: each is their word, and the log itself holds none of it.
      </p>
      <Loaded of={found} rows={3}>
        {(page) =>
          page.items.length === 0 ? (
            <p class="dim none-yet">No verification is recorded yet.</p>
          ) : (
            <>
              <Rows of={page.items} />
              {page.next_cursor != null && limit.value < 500 && (
                <button
                  type="button"
                  class="button more"
                  onClick={() => {
                    limit.value = Math.min(500, limit.value * 5);
                  }}
                >
                  Show more
                </button>
              )}
            </>
          )
        }
      </Loaded>
    </section>
  );
}

function Rows({ of }: { of: readonly Verification[] }) {
  return (
    <table class="table machines verification-table">
      <Columns names={["When", "By", "Result", "Range", "Command"]} />
      <tbody>
        {of.map((one) => (
          <Row key={one.number} one={one} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ one }: { one: Verification }) {
  return (
    <tr data-ok={one.ok}>
      <td data-name="when">
        <Ago at={one.at} />
      </td>
      <th scope="row">
        <bdi>{shown(one.by)}</bdi>
        {one.host !== "" && (
          <span class="dim under">
            on <bdi>{shown(one.host)}</bdi>
          </span>
        )}
      </th>
      <td data-name="result">
        <Result one={one} />
      </td>
      <td class="number" data-name="range">
        1 to {count(one.events)}
        <span class="dim under">
          {one.covered_upto === 0 ? "no checkpoint" : `${plural(one.checkpoints, "checkpoint")}, up to ${count(one.covered_upto)}`}
        </span>
      </td>
      <td data-name="command">
        <span class="command-line">
          <code class="wrap">{shown(one.command)}</code> <CopyButton text={shown(one.command)} label="copy" />
        </span>
      </td>
    </tr>
  );
}

function Result({ one }: { one: Verification }) {
  const first = one.first_bad_seq;
  return (
    <>
      <strong class={one.ok ? "good" : "bad"}>{one.ok ? "✓ whole" : "✕ damaged"}</strong>
      {first != null && (
        <>
          {" "}
          at <a href={href(`/log/${first}`)}>{count(first)}</a>
        </>
      )}
      {one.exported != null && (
        <span class="dim under">
          compared with <bdi>{shown(one.exported.file)}</bdi>, up to {count(one.exported.covered_upto)}
        </span>
      )}
      {(one.findings ?? []).map((found) => (
        <span key={`${found.seq} ${found.sentence}`} class="under" dir="auto">
          {count(found.seq)}: {shown(found.sentence)}
        </span>
      ))}
      {(one.notes ?? []).map((note) => (
        <span key={note} class="dim under" dir="auto">
          {shown(note)}
        </span>
      ))}
    </>
  );
}
