// Dead letters: what could not be applied, its body as text, and what people did with earlier ones.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Command, DialogButton, recorded } from "./Command";
import { FormDialog, ReasonField } from "./Form";
import { Columns } from "./Page";
import { Loaded } from "./States";
import { Ago } from "./Time";
import { type Schemas, get, post, remove, request } from "../lib/api";
import { focusTitle } from "../lib/focus";
import { bytes, count } from "../lib/format";
import { indented, members } from "../lib/json_text";
import { useResource } from "../lib/resource";
import { shown, visible } from "../lib/safe_text";

const REFRESH_SECONDS = 5;
const PAGE = 50;
const SETTLED = 20;
type Letter = Schemas["DeadLetterRead"];
type Settled = Schemas["Settled"];

export function DeadLetters() {
  const letters = useResource("dead", (signal) => get("/dead", { query: { limit: PAGE }, signal }), REFRESH_SECONDS);
  const settled = useResource("settled", (signal) => get("/dead/settled", { query: { limit: SETTLED }, signal }), REFRESH_SECONDS);
  const touched = useRef(false);
  const after = () => {
    touched.current = true;
    [letters, settled].forEach((one) => one.reload());
  };
  useEffect(() => {
    // the button that had the focus is gone with its letter
    if (touched.current && document.activeElement === document.body) focusTitle();
    touched.current = false;
  }, [letters.data.value]);
  return (
    <section class="card" aria-labelledby="dead-letters">
      <h2 id="dead-letters">
        Dead letters {letters.data.value !== null && <span class="dim number">{count(letters.data.value.total)}</span>}
      </h2>
      <p class="dim">Messages that could not be applied, kept for 14 days. A replay takes the ordinary way: what is refused again stays.</p>
      <Loaded of={letters} rows={3}>
        {(page) => (
          <>
            {page.items.length === 0 ? <p class="dim none-yet">There is none.</p> : <Letters of={page.items} after={after} />}
            {page.total > page.items.length && (
              <p class="dim left-out">
                The oldest {page.items.length} of {count(page.total)}; <code>towpath dead</code> lists all.
              </p>
            )}
            {page.dropped.map((one) => (
              <p key={`${one.kind} ${one.reason}`} class="note">
                {count(one.count)} more of kind {shown(one.kind)}, reason {shown(one.reason)}, were left out: only the newest alike are kept.
              </p>
            ))}
          </>
        )}
      </Loaded>
      <Loaded of={settled} rows={2}>
        {(page) => (page.items.length === 0 ? null : <Done of={page.items} />)}
      </Loaded>
    </section>
  );
}

function Letters({ of, after }: { of: readonly Letter[]; after: () => void }) {
  return (
    <table class="table machines dead-table">
      <Columns names={["Number", "Kept", "Kind", "Reason"]} commands />
      <tbody>
        {of.map((one) => (
          <Row key={one.seq} letter={one} after={after} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ letter, after }: { letter: Letter; after: () => void }) {
  const { seq } = letter;
  return (
    <tr data-letter={seq}>
      <th scope="row" class="number">
        {count(seq)}
      </th>
      <td data-name="kept">
        <Ago at={letter.at} />
      </td>
      <td data-name="kind">
        {shown(letter.kind)} <bdi class="mono dim">{shown(letter.subject)}</bdi>
      </td>
      <td data-name="reason">
        <strong>{shown(letter.reason)}</strong>
        <span class="dim under" dir="auto">
          {shown(letter.detail)}
        </span>
        <Body letter={letter} />
      </td>
      <td class="commands">
        <Command
          operation="POST /dead/{seq}/replay"
          kind="small"
          label="Replay"
          name={`Replay dead letter ${seq}`}
          run={() => post("/dead/{seq}/replay", { path: { seq: String(seq) } }, undefined)}
          done={`Dead letter ${seq} is replayed.`}
          after={after}
        />{" "}
        <DialogButton operation="DELETE /dead/{seq}" kind="small" label="Drop…" name={`Drop dead letter ${seq}`} after={after}>
          {(close) => <DropDialog letter={letter} close={close} />}
        </DialogButton>
      </td>
    </tr>
  );
}

/** The body is loaded when it is opened; the API has taken secrets out of it. */
function Body({ letter: { seq, size } }: { letter: Letter }) {
  const text = useSignal<string | null>(null);
  const load = async () => {
    if (text.value !== null) return;
    try {
      const answer = await (await request("GET", "/dead/{seq}", { path: { seq: String(seq) } })).text();
      const body = members(answer).get("body");
      text.value = body === undefined || body === "null" ? "not shown: it is no JSON" : indented(body);
    } catch (error) {
      text.value = error instanceof Error ? error.message : String(error);
    }
  };
  return (
    <details onToggle={(event) => event.currentTarget.open && void load()}>
      <summary>body, {bytes(size)}</summary>
      <pre class="json" tabIndex={0} dir="ltr" aria-label={`body of ${seq}`}>
        {text.value === null ? "…" : visible(text.value)}
      </pre>
    </details>
  );
}

function DropDialog({ letter, close }: { letter: Letter; close: () => void }) {
  const reason = useSignal("");
  const submit = async () => {
    const ask = { path: { seq: String(letter.seq) }, query: { reason: reason.value.trim() } };
    await recorded(() => remove("/dead/{seq}", ask), `Dead letter ${letter.seq} is dropped.`);
    close();
  };
  return (
    <FormDialog title={`Drop dead letter ${letter.seq}?`} close={close} keep="Keep it" send="Drop it" submit={submit}>
      <p>
        It is removed for good. Who dropped it, when and why stays: {shown(letter.kind)} of <bdi class="mono">{shown(letter.subject)}</bdi>,{" "}
        {shown(letter.reason)}.
      </p>
      <ReasonField value={reason} />
    </FormDialog>
  );
}

function Done({ of }: { of: readonly Settled[] }) {
  return (
    <>
      <h3>Replayed and dropped</h3>
      <ol class="settled">
        {of.map((one) => (
          <li key={one.number}>
            <Ago at={one.at} /> <bdi class="strong">{shown(one.by)}</bdi> {one.action} <span class="number">{count(one.seq)}</span>
            {one.outcome != null && ` (${one.outcome})`}
            {one.note != null && (
              <>
                : <bdi>{shown(one.note)}</bdi>
              </>
            )}{" "}
            <span class="dim">
              {shown(one.kind)} of <bdi class="mono">{shown(one.subject)}</bdi>, {shown(one.reason)}
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}
