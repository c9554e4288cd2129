"""What a stream's info says about whether its leader still leads."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.nats.leader_quorum import (
    OUTLIVED_SECONDS,
    UNREPLICATED_SECONDS,
    Leadership,
    NoMajority,
    certain_seconds,
)


def info(*silent: float, since: str = "12:00:00", offline: int = 0) -> dict[str, Any]:
    """A leader that has heard each other replica so many seconds ago; it is 12:01."""
    others = [{"name": f"n{n}", "active": int(s * 1e9)} for n, s in enumerate(silent)]
    for other in others[:offline]:
        other["offline"] = True
    return {
        "ts": "2026-03-01T12:01:00.123456789Z",
        "cluster": {"leader": "n9", "leader_since": f"2026-03-01T{since}.5Z", "replicas": others},
    }


def test_a_leader_is_certain_until_those_it_has_heard_may_elect_another():
    assert certain_seconds(info(0.5, 9.0)) == pytest.approx(3.0)
    assert certain_seconds(info(1.0, 0.2)) == pytest.approx(3.3)
    assert certain_seconds(info(0.2, 9, 1.5, 9)) == pytest.approx(2.0)


@pytest.mark.parametrize("told", [info(3.6, 8), info(0.1, 8, 8, 8), info(0.1, 8, offline=1)])
def test_a_leader_without_a_majority_is_not_believed(told: dict[str, Any]):
    with pytest.raises(NoMajority):
        certain_seconds(told)


@pytest.mark.parametrize("leader", ["", None, "n1"])
def test_a_replica_that_does_not_lead_is_not_believed(leader: str | None):
    """While there is no leader each of them answers, and has not heard the others."""
    told = info(0.0, 0.0, 0.1)
    told["cluster"]["leader"] = leader
    with pytest.raises(NoMajority, match="does not lead"):
        certain_seconds(told)


def test_a_replica_that_was_never_heard_is_none():
    assert certain_seconds(info(0.0, 0.5)) == pytest.approx(3.0)
    with pytest.raises(NoMajority):
        certain_seconds(info(0.0, 0.0))


def test_a_replicated_stream_is_one_before_it_knows_its_replicas():
    with pytest.raises(NoMajority):
        certain_seconds({"config": {"num_replicas": 3}, "cluster": {"leader": "n1"}})


@pytest.mark.parametrize("told", [{"state": {}}, {"cluster": {"leader": "n1"}}])
def test_without_replicas_there_is_nobody_else(told: dict[str, Any]):
    assert certain_seconds(told) == UNREPLICATED_SECONDS


def test_a_leader_that_was_just_elected_may_have_one_beside_it():
    certain_seconds(info(0.1, 0.1), OUTLIVED_SECONDS)
    with pytest.raises(NoMajority, match=r"has led for 9\.6 s"):
        certain_seconds(info(0.1, 0.1, since="12:00:50"), OUTLIVED_SECONDS)


async def test_it_is_asked_only_when_what_is_known_is_too_old():
    asked = []

    async def ask() -> dict[str, Any]:
        asked.append(1)
        return info(0.1, 0.1)

    leadership = Leadership(ask)
    for _ in range(10):
        await leadership.confirm()
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("answer", "replicated"), [(info(0.1, 0.1), True), ({}, False), ({"cluster": {}}, False)]
)
async def test_it_tells_whether_there_are_replicas(answer: dict[str, Any], replicated: bool):
    async def ask() -> dict[str, Any]:
        return answer

    assert await Leadership(ask).has_replicas() is replicated
