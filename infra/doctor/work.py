"""Checks of the work: locks that should move and do not, the read model, pools without a runner.

Locks are judged by a fold of the log, not by what a projector reports: a grant or release that is due and is
not appended means that no lock projector works, whatever the reason.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from adapters.read_model.errors import DatabaseDamaged, DatabaseRefuses, DatabaseUnreachable
from domain.identifiers import LogSeq
from domain.locks.claims import Grant
from domain.ports.read_model import TaskFilter
from domain.task.transitions import Status
from infra.doctor.examination import Examination, LockState
from infra.doctor.finding import Finding, ok, problem
from infra.plural import counted
from projections.folding.log_head import end_of_log

NAMED = 5
MANY = 500
LATE_EVENTS = 10_000
LATE_SECONDS = 10.0
_START_LOCKS = "start `towpath projector` (--only locks); it takes up where the last one stopped"


async def locks(about: Examination) -> list[Finding]:
    """Claims that nothing blocks but were not granted, and holders whose attempt has ended."""
    state = await about.locks()
    ended = [
        grant for workspace in state.due for grant in state.table.holders(workspace) if grant.owed is not None
    ]
    findings = []
    if ended:
        findings.append(problem("locks held", _held(ended), _START_LOCKS))
    if waiting := _waiting(state):
        findings.append(problem("locks waiting", waiting, _START_LOCKS))
    return findings or [ok("locks", f"{_counted(state)}; nothing is due")]


def _held(ended: list[Grant]) -> str:
    named = ", ".join(f"{one.claim.task_id} ({one.claim.workspace}, {_cause(one)})" for one in ended[:NAMED])
    more = f" and {len(ended) - NAMED} more" if len(ended) > NAMED else ""
    return f"{counted(len(ended), 'lock')} held though the attempt has ended: {named}{more}"


def _cause(grant: Grant) -> str:
    assert grant.owed is not None
    return f"{grant.owed.cause} at {grant.owed.seq}"


def _waiting(state: LockState) -> str:
    """Where the next lock event is a grant: a claim waits although nothing blocks it."""
    stuck = []
    for workspace in state.due:
        fact = state.table.decide(workspace)
        if fact is not None and fact.event != "released":
            claim = getattr(fact.data, "task_id", "")
            waiting = state.table.open_size(workspace).waiting
            stuck.append(f"{workspace} ({waiting} wait, {claim} first)")
    if not stuck:
        return ""
    more = f" and {len(stuck) - NAMED} more" if len(stuck) > NAMED else ""
    return f"tasks wait for a lock that no task holds in {', '.join(stuck[:NAMED])}{more}"


def _counted(state: LockState) -> str:
    names = list(state.table.workspaces())
    sizes = [state.table.open_size(name) for name in names]
    return f"{sum(one.held for one in sizes)} held, {sum(one.waiting for one in sizes)} waiting"


async def read_model(about: Examination) -> list[Finding]:
    """How far the read model is behind the log, in events and seconds."""
    try:
        position = await about.read_model.position()
    except (DatabaseDamaged, DatabaseRefuses) as error:
        found, _, advice = error.detail.partition(": ")
        return [problem("read model", found, advice)]
    except DatabaseUnreachable as error:
        advice = "start `towpath projector` (--only read-model), or check TOWPATH_DATABASE_URL"
        return [problem("read model", f"cannot be read: {type(error.__cause__).__name__}", advice)]
    last = await end_of_log(about.reader.last_seq, position, about.patience.new_leader_seconds)
    if position > last:
        found = f"stands at {position}, but the log ends at {last}: it was made from another log"
        return [problem("read model", found, "rebuild it with `towpath replay --rebuild`")]
    behind = last - position
    found = f"{behind} of {last} events behind"
    waited = 0.0
    oldest = await about.event(LogSeq(position + 1)) if behind else None
    if oldest is not None:
        waited = max((about.now() - oldest.at).total_seconds(), 0.0)
        found += f", the oldest for {waited:.0f} s"
    if behind <= LATE_EVENTS and waited <= LATE_SECONDS:
        return [ok("read model", found)]
    return [
        problem("read model", found, "start `towpath projector` (--only read-model); it catches up by itself")
    ]


async def pools(about: Examination) -> list[Finding]:
    """Pools in which attempts wait although no runner is alive."""
    beats = await about.heartbeats.all()
    horizon = about.now() - timedelta(seconds=about.settings.lease_seconds)
    served = {pool for beat, at in beats if at >= horizon for pool in beat.pools}
    if about.settings.host_runner_url is not None:
        served.add("default")
    try:
        waiting, more = await about.read_model.find(TaskFilter(status=(Status.DISPATCHED,)), MANY, None)
    except DatabaseUnreachable:
        return []  # the check of the read model reports why
    unserved = Counter(task.pool for task in waiting if task.pool not in served)
    if not unserved:
        return [ok("pools", f"runners alive for {', '.join(sorted(served)) or 'no pool'}; no pool waits")]
    least = "at least " if more else ""
    return [
        problem(
            f"pool {pool}",
            f"{least}{counted(count, 'attempt')} waiting, and no runner of it is alive",
            f"start one: `towpath runner --pool {pool}`; attempts that no runner takes end as submit-failed",
        )
        for pool, count in sorted(unserved.items())
    ]
