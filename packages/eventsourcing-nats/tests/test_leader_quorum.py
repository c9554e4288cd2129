"""When a leader's answer counts, by what the stream's info tells about its replicas."""

from __future__ import annotations

from typing import Any

import pytest

from eventsourcing_nats.leader_quorum import LeaderQuorum, certain_seconds
from eventsourcing_nats.request_reply import Unanswered


def info(
    *silent_seconds: float, leader: str | None = "n0", replicas: int = 3, **of_all: Any
) -> dict[str, Any]:
    """A stream's info whose leader heard the others that long ago."""
    others = [
        {"name": f"n{number}", "active": int(seconds * 1e9), **of_all}
        for number, seconds in enumerate(silent_seconds, start=1)
    ]
    return {"config": {"num_replicas": replicas}, "cluster": {"leader": leader, "replicas": others}}


def test_a_leader_is_certain_for_the_rest_of_the_shortest_election() -> None:
    assert certain_seconds(info(1.0, 60.0)) == pytest.approx(2.5)  # with itself, one other is a majority
    assert certain_seconds(info(1.0, 0.5, 3.0, 3.0, replicas=5)) == pytest.approx(2.5)


def test_without_replicas_there_is_no_other_leader() -> None:
    assert certain_seconds({"config": {"num_replicas": 1}}) > 0
    assert certain_seconds({"config": {}, "cluster": {"leader": "n0"}}) > 0


@pytest.mark.parametrize(
    "uncertain",
    [
        info(3.6, 3.6),
        info(0.0, 0.0),  # never heard
        info(1.0, 1.0, offline=True),
        info(1.0, 1.0, leader=None),
        info(1.0, 1.0, leader="n1"),  # it lists the leader among the others, so it is not the leader itself
        info(),
    ],
)
def test_a_leader_that_may_have_been_replaced_is_not_believed(uncertain: dict[str, Any]) -> None:
    with pytest.raises(Unanswered):
        certain_seconds(uncertain)


async def test_what_is_known_is_not_asked_again() -> None:
    asked = 0

    async def ask() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return info(0.1, 0.1)

    quorum = LeaderQuorum(ask)
    for _ in range(3):
        await quorum.confirm()
    assert asked == 1
