"""Claims and past tasks in the read model, on SQLite and on PostgreSQL: as a fold of the log tells them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.read_model.store import SqlReadModel
from tests.contract.adapters.read_model.read_model_lives import Lives
from tests.contract.adapters.read_model.read_model_random import ACTIONS, SPECS, perform
from tests.contract.adapters.read_model.read_model_walk import feed, mixed
from tests.support.claims import claims_of

END = 2**62


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_claims_are_told_newest_first(model: SqlReadModel, size: int) -> None:
    lives = mixed()
    await feed(model, lives.events, size)
    for workspace in ("acme", "zoo", "nowhere"):
        whole = claims_of(lives.events, workspace)
        assert await model.claims(workspace, 0, END, 1000) == whole
        assert await model.claims(workspace, 0, END, 2) == whole[:2]
        if len(whole) > 2:
            newest, oldest = whole[0].read.claimed.seq, whole[-1].read.claimed.seq
            assert await model.claims(workspace, oldest, newest, 1000) == whole[1:-1]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    specs=st.lists(SPECS, min_size=1, max_size=4),
    steps=st.lists(st.tuples(st.integers(0, 3), ACTIONS), max_size=40),
    size=st.integers(1, 9),
)
async def test_random_claims_are_as_a_fold_tells_them(
    model: SqlReadModel, specs: list[dict[str, Any]], steps: list[Any], size: int
) -> None:
    lives = Lives()
    ids = [lives.create(**spec) for spec in specs]
    for number, action in steps:
        perform(lives, ids[number % len(ids)], action)
    await model.reset()
    left = lives.events
    while left:
        await feed(model, left[:size])
        left = left[size:]
    assert await model.claims("acme", 0, END, 1000) == claims_of(lives.events, "acme")


@pytest.mark.parametrize("size", [1, 1000])
async def test_tasks_that_existed_by_then_are_listed_by_creation(model: SqlReadModel, size: int) -> None:
    lives = mixed()
    await feed(model, lives.events, size)
    made = {event.subject_id: event.seq for event in lives.events if event.event == "created"}
    ids = sorted(made, key=lambda one: -made[one])
    for upto in (0, 1, made[ids[3]], made[ids[3]] - 1, len(lives.events)):
        there = [one for one in ids if made[one] <= upto]
        found = await model.created_upto(upto, None, 1000)
        assert [one.id for one in found] == there
        assert found == [lives.expected(one) for one in there]
        assert [one.id for one in await model.created_upto(upto, None, 2)] == there[:2]
    assert [one.id for one in await model.created_upto(END, ids[4], 3)] == ids[5:8]
    assert await model.created_upto(END, "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1cff", 3) == []
