"""The index of events by name agrees with a count of the log, after any batches and after a rebuild."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.read_model import event_index
from adapters.read_model.store import SqlReadModel
from domain.log.record import Recorded
from domain.ports.read_model import EventSeqs
from tests.contract.adapters.read_model.read_model_lives import Lives
from tests.contract.adapters.read_model.read_model_random import ACTIONS, SPECS, perform
from tests.contract.adapters.read_model.read_model_walk import feed, mixed

END = 2**63 - 1
NAMES = ("created", "dispatched", "granted", "running", "failed", "registered")


def expected(
    events: Sequence[Recorded], names: Sequence[str], after: int, before: int, limit: int, *, newest: bool
) -> EventSeqs:
    """The answer by a look at every event."""
    found = [one.seq for one in events if one.event in names and after < one.seq < before]
    return EventSeqs(sorted(found, reverse=newest)[:limit], len(events))


@pytest.mark.parametrize("block", [1, 3, 1000])
async def test_events_are_found_by_their_names(
    model: SqlReadModel, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(event_index, "BLOCK", block)
    events, chance = mixed().events, random.Random(block)
    assert await model.event_seqs(["created"], 0, END, 9) == EventSeqs([], 0)
    await feed(model, events, 7)
    for _ in range(40):
        names = chance.sample(NAMES, chance.randint(1, 3))
        after, before = chance.randrange(len(events)), chance.choice([END, chance.randrange(len(events))])
        limit, newest = chance.choice([1, 3, 500]), chance.random() < 0.5
        found = await model.event_seqs(names, after, before, limit, newest=newest)
        assert found == expected(events, names, after, before, limit, newest=newest)
    assert await model.event_seqs(["answered"], 0, END, 9) == EventSeqs([], len(events))
    await model.reset()
    assert await model.event_seqs(["created"], 0, END, 9) == EventSeqs([], 0)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    specs=st.lists(SPECS, min_size=1, max_size=4),
    steps=st.lists(st.tuples(st.integers(0, 3), ACTIONS), max_size=30),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
)
async def test_it_agrees_with_a_recount_after_any_batches(
    model: SqlReadModel, specs: list[dict[str, Any]], steps: list[Any], sizes: list[int]
) -> None:
    lives = Lives()
    ids = [lives.create(**spec) for spec in specs]
    for number, action in steps:
        perform(lives, ids[number % len(ids)], action)
    for _ in ("first", "rebuilt"):
        await model.reset()
        left = lives.events
        for size in [*sizes, len(left)]:
            await feed(model, left[:size])
            left = left[size:]
        for name in {one.event for one in lives.events}:
            found = await model.event_seqs([name], 0, END, 1000)
            assert found == expected(lives.events, [name], 0, END, 1000, newest=False)
