"""The claims of a workspace, folded from the log in another way than the read model does it."""

from __future__ import annotations

from domain.locks.history import ClaimRead
from domain.log.record import Recorded
from domain.ports.read_model import PastClaim
from domain.task.attempt_history import attempts


def claims_of(events: list[Recorded], workspace: str) -> list[PastClaim]:
    """All claims of a workspace, newest first."""
    of_tasks: dict[str, list[Recorded]] = {}
    for event in events:
        if event.task_id is not None:
            of_tasks.setdefault(event.task_id, []).append(event)
    found = [claim for mine in of_tasks.values() for claim in _claims(mine, workspace)]
    return sorted(found, key=lambda one: -one.read.claimed.seq)


def _claims(mine: list[Recorded], workspace: str) -> list[PastClaim]:
    """The claims of one task, from its events."""
    if mine[0].workspace != workspace:
        return []
    task_id = mine[0].subject_id
    found = []
    for one in attempts(mine):
        bound = one.queued or one.started
        left = one.ended if one.granted is None and one.refused is None else None
        cause = next(
            (event.data.get("cause") or event.data.get("reason") for event in mine
             if event.attempt == one.attempt and event.event in ("released", "refused")),
            one.status.value if left else None,
        )  # fmt: skip
        read = ClaimRead(
            title=mine[0].data["title"], task_id=task_id, attempt=one.attempt, runner_id=one.runner_id,
            paths=mine[0].data["lock_paths"], mode=mine[0].data["lock_mode"], token=one.token, left=left,
            claimed=one.claimed, granted=one.granted, refused=one.refused, released=one.released, cause=cause,
        )  # fmt: skip
        found.append(PastClaim(read, bound.seq if bound else None))
    return found
