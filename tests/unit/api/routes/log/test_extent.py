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
    for query in ("ticks=201", "ticks=-1", "at=1"):
        problem(await harness.http.get(f"/log?{query}"), 422, "invalid-request")
