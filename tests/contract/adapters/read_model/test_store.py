"""The contract of `ReadModel`, on SQLite and on PostgreSQL.

Whatever a test feeds it feeds twice: a batch that comes again must change nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.read_model.store import SqlReadModel
from domain.log.position import Position
from domain.ports.read_model import TaskFilter
from tests.contract.adapters.read_model.read_model_lives import Lives
from tests.contract.adapters.read_model.read_model_random import ACTIONS, SPECS, perform
from tests.contract.adapters.read_model.read_model_walk import EVERYTHING, feed, mixed


async def test_an_empty_read_model_stands_at_zero(model: SqlReadModel) -> None:
    assert await model.position() == 0
    assert await model.apply([]) == 0
    assert await model.get("0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11") is None
    assert await model.find(EVERYTHING, 10, None) == ([], None)


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_tasks_are_shown_as_the_domain_shows_them(model: SqlReadModel, size: int) -> None:
    lives = mixed()
    assert await model.stands_at() == Position(0)
    await feed(model, lives.events, size)
    assert await model.position() == len(lives.events)
    assert await model.stands_at() == Position(len(lives.events), lives.events[-1].id)
    for task_id in lives.tasks:
        assert await model.get(task_id) == lives.expected(task_id)


async def test_tasks_are_counted_by_status(model: SqlReadModel) -> None:
    assert set((await model.count_by_status()).values()) == {0}
    lives = mixed()
    await feed(model, lives.events)
    counted = Counter(lives.expected(task_id).status.value for task_id in lives.tasks)
    assert {status: count for status, count in (await model.count_by_status()).items() if count} == counted


async def test_the_lock_is_followed_through_an_attempt(model: SqlReadModel) -> None:
    lives = Lives()
    first, second = lives.create(workspace="acme"), lives.create(workspace="acme")
    states = []
    for step in (
        lambda: lives.dispatch(first),
        lambda: lives.settle("acme"),
        lambda: lives.dispatch(second),
        lambda: lives.act(first, lambda task: task.cancel(reason="no", at=lives.now, actor="op")),
        lambda: lives.settle("acme"),
        lambda: lives.dispatch(first),
        lambda: lives.act(first, lambda task: task.cancel(reason="no", at=lives.now, actor="op")),
    ):
        step()
        await feed(model, lives.events[await model.position() :])
        shown = await model.get(first), await model.get(second)
        assert shown == (lives.expected(first), lives.expected(second))
        states.append([one.lock.state for one in shown if one])
    assert states == [
        ["waiting", "none"],
        ["held", "none"],
        ["held", "waiting"],
        ["held", "waiting"],
        ["released", "held"],
        ["waiting", "held"],
        ["none", "held"],
    ]


@pytest.mark.parametrize("size", [1, 1000])
async def test_a_void_grant_is_shown_and_released(model: SqlReadModel, size: int) -> None:
    lives = Lives()
    task_id = lives.create(workspace="acme")
    lives.dispatch(task_id)
    lives.void_grant(task_id)
    await feed(model, lives.events, size)
    shown = await model.get(task_id)
    assert shown == lives.expected(task_id)
    assert shown.lock.state == "held"
    lives.settle("acme")
    await feed(model, lives.events[-1:], size)
    assert await model.get(task_id) == lives.expected(task_id)


async def test_a_late_fact_of_an_old_attempt_leaves_the_new_one_alone(model: SqlReadModel) -> None:
    lives = Lives()
    task_id = lives.create(workspace="acme")
    lives.dispatch(task_id)
    lives.settle("acme")
    lives.act(task_id, lambda task: task.cancel(reason=None, at=lives.now, actor="op"))
    lives.dispatch(task_id)
    await feed(model, lives.events)
    assert lives.decide("acme")  # releases attempt 1
    await feed(model, lives.events[-1:])
    shown = await model.get(task_id)
    assert shown == lives.expected(task_id)
    assert shown.lock.state == "waiting"


async def test_nul_in_any_text_does_not_stop_it(model: SqlReadModel) -> None:
    lives = Lives()
    task_id = lives.live(title="a\0b", command=["echo", "\0"], labels={"k\0": "v\0"})
    lives.events[-1].data |= {"message": "m\0", "output_tail": "\0\0"}
    await feed(model, lives.events)
    shown = await model.get(task_id)
    assert shown is not None
    assert (shown.title, shown.command, shown.labels) == ("a�b", ["echo", "�"], {"k�": "v�"})
    assert (shown.message, shown.output_tail) == ("m�", "��")
    assert (await model.find(TaskFilter(labels=(("k\0", "v\0"),)), 10, None))[0] == [shown]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    specs=st.lists(SPECS, min_size=1, max_size=4),
    steps=st.lists(st.tuples(st.integers(0, 3), ACTIONS), max_size=40),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8),
)
async def test_random_lives_are_shown_as_the_domain_shows_them(
    model: SqlReadModel, specs: list[dict[str, Any]], steps: list[Any], sizes: list[int]
) -> None:
    lives = Lives()
    ids = [lives.create(**spec) for spec in specs]
    for number, action in steps:
        perform(lives, ids[number % len(ids)], action)
    await model.reset()
    left = lives.events
    for size in [*sizes, len(left)]:
        await feed(model, left[:size])
        left = left[size:]
    assert [await model.get(task_id) for task_id in ids] == [lives.expected(task_id) for task_id in ids]
    facts = [event.seq for event in lives.events if (event.kind, event.subject_id) == ("lock", "acme")]
    assert await model.lock_history("acme", None, 1000) == facts
    assert await model.lock_history("acme", None, 3) == facts[-3:]
    counted = Counter(task.status.value for task in lives.tasks.values())
    assert {status: count for status, count in (await model.count_by_status()).items() if count} == counted


@pytest.mark.parametrize("size", [1, 1000])
async def test_cancels_that_no_runner_has_confirmed(model: SqlReadModel, size: int) -> None:
    lives, asked = Lives(), []
    for number in range(4):
        task_id = lives.create(title=f"job {number}")
        lives.dispatch(task_id)
        lives.report(task_id, "running", runner_id="r1")
        asked.append((task_id, f"job {number}", "r1", lives.now))
        lives.act(task_id, lambda task: task.cancel(reason=None, at=lives.now, actor="op"))
    lives.report(asked[0][0], "canceled")
    lives.report(asked[1][0], "failed")
    await feed(model, lives.events, size)
    assert await model.unconfirmed_cancels(lives.now, 10) == asked[2:]
    assert await model.unconfirmed_cancels(lives.now, 1) == asked[2:3]
    assert await model.unconfirmed_cancels(asked[3][3], 10) == asked[2:3]


async def test_the_states_of_tasks(model: SqlReadModel) -> None:
    lives = Lives()
    first, second, _ = lives.create(workspace="acme"), lives.live(), lives.create()
    await feed(model, lives.events)
    unknown = "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"
    states = {first: ("created", "acme"), second: ("succeeded", None)}
    assert await model.states([first, second, unknown]) == states
    assert await model.states([]) == {}
