"""The log's extent over HTTP, and the terms that clients count down by."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.api.api_harness import ApiHarness, problem


async def test_an_empty_log_has_neither_end(harness: ApiHarness) -> None:
    read = (await harness.http.get("/log?ticks=5")).json()
    assert (read["first"], read["last"], read["ticks"]) == (None, None, [])
    assert (read["lease_seconds"], read["lost_seconds"], read["submit_deadline_seconds"]) == (
        15.0,
        20.0,
        30.0,
    )
    assert read["now"] == "2026-03-01T12:00:00Z"


@pytest.mark.parametrize(("ticks", "seqs"), [(0, []), (1, [6]), (3, [3, 6, 8]), (200, list(range(2, 11)))])
async def test_ticks_are_spread_over_the_sequences(harness: ApiHarness, ticks: int, seqs: list[int]) -> None:
    for _ in range(11):
        await harness.create()
        harness.clock.at += timedelta(minutes=1)
    read = (await harness.http.get("/log", params={"ticks": ticks})).json()
    assert read["first"] == {"seq": 1, "at": "2026-03-01T12:00:00Z"}
    assert read["last"] == {"seq": 11, "at": "2026-03-01T12:10:00Z"}
    assert [one["seq"] for one in read["ticks"]] == seqs
    for one in read["ticks"]:
        assert one["at"] == f"2026-03-01T12:{one['seq'] - 1:02}:00Z"


async def test_ticks_have_a_bound(harness: ApiHarness) -> None:
    await harness.create()
    assert (await harness.http.get("/log?ticks=2")).json()["ticks"] == []
    for query in ("ticks=201", "ticks=-1", "from=0", "until=1"):
        problem(await harness.http.get(f"/log?{query}"), 422, "invalid-request")


@pytest.mark.parametrize(
    ("query", "seqs"),
    [
        ({"ticks": 1, "from": 3, "to": 7}, [3, 5, 7]),
        ({"ticks": 200, "from": 3, "to": 5}, [3, 4, 5]),
        ({"ticks": 0, "from": 9, "to": 99}, [9, 11]),
        ({"ticks": 1, "from": 9, "to": 2}, [2]),
        ({"ticks": 0, "to": 4}, [4]),
    ],
)
async def test_ticks_of_a_part_have_its_ends(
    harness: ApiHarness, query: dict[str, int], seqs: list[int]
) -> None:
    for _ in range(11):
        await harness.create()
    read = (await harness.http.get("/log", params=query)).json()
    assert [one["seq"] for one in read["ticks"]] == seqs
    assert (read["first"]["seq"], read["last"]["seq"]) == (1, 11)


async def test_a_sequence_or_a_time_is_answered_with_its_event(harness: ApiHarness) -> None:
    for _ in range(3):
        await harness.create()
        harness.clock.at += timedelta(minutes=1)
    second = {"seq": 2, "at": "2026-03-01T12:01:00Z"}
    assert (await harness.http.get("/log?at=2")).json()["at"] == second
    assert (await harness.http.get("/log", params={"at": "2026-03-01T12:01:59Z"})).json()["at"] == second
    assert (await harness.http.get("/log", params={"at": "2026-02-01T12:00:00Z"})).json()["at"] is None
    assert (await harness.http.get("/log")).json()["at"] is None
    problem(await harness.http.get("/log?at=4"), 404, "beyond-the-log")
