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
    spec = mine[0].data
    if spec["workspace"] != workspace:
        return []
    found = []
    for one in attempts(mine):
        of_attempt = [event for event in mine if event.attempt == one.attempt]
        bound = [
            event for event in of_attempt
            if event.event in ("queued", "running") and event.data["runner_id"]
        ]  # fmt: skip
        left = one.ended if one.granted is None and one.refused is None else None
        cause = one.status.value if left else None
        for event in of_attempt:
            if event.event in ("released", "refused"):
                cause = event.data["cause" if event.event == "released" else "reason"]
        read = ClaimRead(
            title=spec["title"],
            task_id=mine[0].subject_id,
            attempt=one.attempt,
            paths=spec["lock_paths"],
            mode=spec["lock_mode"],
            runner_id=bound[-1].data["runner_id"] if bound else None,
            token=one.token,
            claimed=one.claimed,
            granted=one.granted,
            refused=one.refused,
            left=left,
            released=one.released,
            cause=cause,
        )
        found.append(PastClaim(read, bound[0].seq if bound else None))
    return found
