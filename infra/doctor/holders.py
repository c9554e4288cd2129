"""Checks of runners and lock holders: silent runners, shared ids, locks that wait for an operator.

A lost runner should not hold a lock for long: the watchdog ends its attempts, or the workspace's policy
leaves the decision to an operator, who needs to know.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from adapters.runners.heartbeats import NEW_RUNNERS_BELOW
from domain.locks.claims import Grant
from domain.runners.liveness import in_conflict, state_of_holder
from domain.subjects import Stream
from infra.doctor.examination import Examination
from infra.doctor.finding import Finding, ok, problem, warning
from infra.plural import counted

NEARLY_FULL = 0.5
NAMED = 5
SLACK = timedelta(seconds=10)
"""Time within which another watchdog takes over from one that has died."""


async def holders(about: Examination) -> list[Finding]:
    """Lock holders whose runner is suspected or lost."""
    terms, now = about.settings.lease_terms, about.now()
    recent = await about.heartbeats.recent()
    table = (await about.locks()).table
    kept, late, suspected = [], [], []
    for workspace in table.workspaces():
        registration = table.judge.registrations.get(workspace)
        holds = registration is not None and registration.on_runner_lost == "hold"
        for grant in table.holders(workspace):
            if grant.owed is not None:
                continue
            beats = recent.get(grant.runner_id or "", ())
            bound_at = datetime.fromisoformat(grant.bound_at or grant.since)
            state = state_of_holder(beats, grant.instance, bound_at, now, terms)
            if state == "suspected":
                suspected.append(grant)
            elif state == "lost" and holds:
                kept.append(grant)
            elif state_of_holder(beats, grant.instance, bound_at, now - SLACK, terms) == "lost":
                late.append(grant)
    findings = []
    if kept:
        advice = "make sure that nothing of them runs any more, then `towpath release ID --reason …`"
        said = _named(kept, "kept for an operator, as the runner is lost")
        findings.append(problem("locks of lost runners", said, advice))
    if late:
        advice = "start `towpath projector` (--only watchdog), which ends them"
        said = _named(late, "still held, though the runner is lost")
        findings.append(problem("lost runners", said, advice))
    if suspected:
        advice = "look at that host and its network; `towpath runners` says when it was last heard of"
        findings.append(warning("silent runners", _named(suspected, "held by a silent runner"), advice))
    return findings or [ok("holders", "every runner that holds a lock, and sends heartbeats, is alive")]


async def runner_ids(about: Examination) -> list[Finding]:
    """Runner ids that several runners use in turn for their heartbeats."""
    now, terms = about.now(), about.settings.lease_terms
    shared = {
        runner_id: sorted({f"{beat.host} ({beat.instance or 'without an instance'})" for beat, _ in beats})
        for runner_id, beats in (await about.heartbeats.recent()).items()
        if in_conflict(beats) and terms.state(beats[-1][1], now) != "lost"
    }
    advice = "give each runner an id (TOWPATH_RUNNER_ID) and a state directory of its own"
    return [
        problem(f"runner {runner_id}", f"several runners have this id: {', '.join(hosts)}", advice)
        for runner_id, hosts in shared.items()
    ] or [ok("runner ids", "each runner has an id of its own")]


async def heartbeat_room(about: Examination) -> list[Finding]:
    """How much of their stream's limit the heartbeats take: a full one rejects those of all runners."""
    answer = await about.ask(f"STREAM.INFO.{Stream.RUNNER}")
    limit = answer.get("config", {}).get("max_bytes", -1)
    if limit <= 0:
        return []
    used = answer["state"]["bytes"] / limit
    found = f"the heartbeats of all runners take {used * 100:.0f} % of {Stream.RUNNER}"
    if used < NEARLY_FULL:
        return [ok("heartbeats", found)]
    advice = (
        "`towpath runners` lists who sends them: forget lost runners, and let fewer hold so many attempts; "
        "goodbyes expire in minutes"
    )
    if used < NEW_RUNNERS_BELOW:
        return [warning("heartbeats", found, advice)]
    return [problem("heartbeats", f"{found}: new runners are refused over HTTP", advice)]


def _named(grants: list[Grant], how: str) -> str:
    named = ", ".join(
        f"{one.claim.task_id} ({one.claim.workspace}, {one.runner_id})" for one in grants[:NAMED]
    )
    more = f" and {len(grants) - NAMED} more" if len(grants) > NAMED else ""
    return f"{counted(len(grants), 'lock')} {how}: {named}{more}"
