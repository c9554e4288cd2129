// Evidence: that the log is whole, who has verified it, and what could not be applied.
import { Checkpoints } from "../components/Checkpoints";
import { DeadLetters } from "../components/DeadLetters";
import { Link } from "../components/Link";
import { Empty } from "../components/States";
import { Verifications } from "../components/Verifications";
import { at } from "../lib/router";
import { roleMissing, session } from "../lib/session";

export function EvidencePage() {
  return (
    <div class="page evidence">
      <header class="page-head">
        <h1 tabIndex={-1}>Evidence</h1>
      </header>
      {at.value === null ? <Parts /> : <NotOfThePast />}
    </div>
  );
}

function Parts() {
  // what the session permits is known with its first answer
  if (session.value === null) return null;
  const [auditor, operator] = [roleMissing("GET /checkpoints"), roleMissing("GET /dead")];
  return (
    <>
      {auditor === null ? <Checkpoints /> : <Needs title="Signed checkpoints" role={auditor} />}
      {auditor === null ? <Verifications /> : <Needs title="Verifications" role={auditor} />}
      {operator === null ? <DeadLetters /> : <Needs title="Dead letters" role={operator} />}
    </>
  );
}

function Needs({ title, role }: { title: string; role: string }) {
  return (
    <section class="card forbidden-part" aria-label={title}>
      <h2>{title}</h2>
      <p class="dim">This needs the role {role}.</p>
    </section>
  );
}

function NotOfThePast() {
  return (
    <Empty title="Checkpoints are made about the log, not in it">
      <p>
        They, verifications and dead letters are not known as of another moment. A checkpoint that exists now vouches for that moment, too:{" "}
        <Link to="/evidence" params={{ at: null }}>
          Evidence as it is now
        </Link>
        .
      </p>
    </Empty>
  );
}
