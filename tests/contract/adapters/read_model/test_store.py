"""The contract of `ReadModel`, on SQLite and on PostgreSQL.

Whatever a test feeds it feeds twice: a batch that comes again must change nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.read_model.store import SqlReadModel
from domain.errors import Invalid
from domain.log.position import Position
from domain.ports.log import LogGap
from domain.ports.read_model import TaskFilter
from domain.task.view import TaskRead
from tests.contract.adapters.read_model.read_model_lives import Lives
from tests.contract.adapters.read_model.read_model_random import ACTIONS, SPECS, perform
from tests.contract.adapters.read_model.read_model_walk import feed, mixed, walk

EVERYTHING = TaskFilter()


# ---------------------------------------------------------------------- what is shown


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


# ---------------------------------------------------------------------- random lives


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


# ---------------------------------------------------------------------- position and transactions


async def test_a_batch_may_overlap_what_was_applied(model: SqlReadModel) -> None:
    lives = mixed()
    await model.apply(lives.events[:10])
    assert await model.apply(lives.events[5:20]) == 20
    assert await model.apply(lives.events[:3]) == 20


async def test_a_hole_before_or_in_a_batch_is_a_gap(model: SqlReadModel) -> None:
    events = mixed().events
    await model.apply(events[:5])
    for batch in (events[6:9], [*events[5:8], *events[9:12]]):
        with pytest.raises(LogGap):
            await model.apply(batch)
    assert await model.position() == 5


async def test_a_skipped_version_of_a_task_is_a_gap(model: SqlReadModel) -> None:
    lives = Lives()
    lives.live()
    renumbered = [
        replace(event, seq=seq) for seq, event in enumerate([lives.events[0], *lives.events[2:]], 1)
    ]
    with pytest.raises(LogGap, match="version 3"):
        await model.apply(renumbered)
    assert await model.position() == 0


async def test_a_crash_before_the_commit_leaves_everything_as_it_was(
    model: SqlReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = mixed()
    await model.apply(lives.events[:50])
    before = await walk(model, EVERYTHING, 7)
    statements = model._writer._statements
    original = statements.of

    def breaks(batch: Any) -> Iterator[Any]:
        yield from original(batch)
        raise RuntimeError("crash")

    with monkeypatch.context() as patch:
        patch.setattr(statements, "of", breaks)
        with pytest.raises(RuntimeError, match="crash"):
            await model.apply(lives.events[50:])
    assert await model.position() == 50
    assert await walk(model, EVERYTHING, 7) == before
    await feed(model, lives.events[50:])
    assert await walk(model, EVERYTHING, 7) == lives.newest_first()


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8])
async def test_a_canceled_apply_leaves_a_whole_batch_or_none(model: SqlReadModel, turns: int) -> None:
    lives = mixed()
    await model.apply(lives.events[:50])
    applying = asyncio.create_task(model.apply(lives.events[50:]))
    for _ in range(turns):
        await asyncio.sleep(0)
    applying.cancel()
    await asyncio.gather(applying, return_exceptions=True)
    await feed(model, lives.events)
    assert await walk(model, EVERYTHING, 50) == lives.newest_first()


async def test_two_writers_at_once_apply_everything_once(
    model: SqlReadModel, open_engine: Callable[[], AsyncEngine]
) -> None:
    lives = mixed()
    other = SqlReadModel(open_engine())

    async def write(writer: SqlReadModel, size: int) -> None:
        for start in range(0, len(lives.events), size):
            await writer.apply(lives.events[start : start + size])

    await asyncio.gather(write(model, 3), write(other, 5), write(other, 4))
    assert await other.position() == len(lives.events)
    assert await walk(model, EVERYTHING, 50) == lives.newest_first()


async def test_a_rebuild_gives_the_same(model: SqlReadModel) -> None:
    lives = mixed()
    await feed(model, lives.events, 11)
    before = await walk(model, EVERYTHING, 9), await model.lock_history("acme", None, 100)
    await model.reset()
    assert (await model.position(), await walk(model, EVERYTHING, 9)) == (0, [])
    assert await model.lock_history("acme", None, 100) == []
    await feed(model, lives.events, 1000)
    assert (await walk(model, EVERYTHING, 9), await model.lock_history("acme", None, 100)) == before


@pytest.mark.parametrize("size", [1, 1000])
async def test_open_questions_are_shown_listed_and_counted(model: SqlReadModel, size: int) -> None:
    lives = Lives()
    ids = [
        lives.create(workspace=workspace, title=f"{n}") for n, workspace in enumerate([None, "acme", None])
    ]
    asked_at = {}
    for task_id in ids:
        lives.dispatch(task_id)
        lives.settle("acme")
        lives.report(task_id, "running", runner_id="r1")
        asked_at[task_id] = lives.now
        for question_id in ("q1", "q2"):
            perform(lives, task_id, ("ask", {"question_id": question_id, "text": "a\0?", "choices": ["b"]}))
    await feed(model, lives.events, size)
    assert await model.open_questions() == (3, asked_at[ids[0]])
    assert await walk(model, TaskFilter(asking=True), 2) == lives.newest_first()
    assert await walk(model, TaskFilter(asking=True, workspace="acme"), 2) == [lives.expected(ids[1])]
    perform(lives, ids[0], ("answer", "q1", "b"))
    lives.act(ids[1], lambda task: task.cancel(reason=None, at=lives.now, actor="op"))
    lives.report(ids[2], "failed")
    await feed(model, lives.events[await model.position() :], size)
    assert await model.open_questions() == (0, None)
    assert await walk(model, TaskFilter(asking=True), 2) == []
    assert await walk(model, TaskFilter(asking=False), 2) == lives.newest_first()


# ---------------------------------------------------------------------- lists

MIDDLE = Lives().now + timedelta(seconds=8)
FILTERS: list[tuple[TaskFilter, Callable[[TaskRead], bool]]] = [
    (TaskFilter(), lambda one: True),
    (TaskFilter(status=("succeeded",)), lambda one: one.status == "succeeded"),
    (TaskFilter(status=("running", "failed")), lambda one: one.status in ("running", "failed")),
    (TaskFilter(workspace="acme"), lambda one: one.workspace == "acme"),
    (TaskFilter(pool="gpu"), lambda one: one.pool == "gpu"),
    (TaskFilter(labels=(("team", "a"),)), lambda one: one.labels["team"] == "a"),
    (TaskFilter(created_after=MIDDLE), lambda one: one.created_at > MIDDLE),
    (
        TaskFilter(("created", "dispatched"), "zoo", "default", (("n", "1"),), MIDDLE),
        lambda one: (
            one.status in ("created", "dispatched")
            and (one.workspace, one.pool, one.labels["n"]) == ("zoo", "default", "1")
            and one.created_at > MIDDLE
        ),
    ),
    (TaskFilter(workspace="nowhere"), lambda one: False),
    (
        TaskFilter(labels=(("team", "a"), ("n", "1"))),
        lambda one: (one.labels["team"], one.labels["n"]) == ("a", "1"),
    ),
    (TaskFilter(labels=(("team", "a"), ("team", "b"))), lambda one: False),
    (TaskFilter(runner="r1"), lambda one: one.runner_id == "r1"),
    (TaskFilter(("failed",), reason="error"), lambda one: one.reason == "error"),
    (TaskFilter(created_before=MIDDLE), lambda one: one.created_at < MIDDLE),
    (
        TaskFilter(labels=(("team", "a"),), created_before=MIDDLE, runner="r1"),
        lambda one: one.created_at < MIDDLE and one.labels["team"] == "a" and one.runner_id == "r1",
    ),
    (TaskFilter(finished_after=MIDDLE), lambda one: one.finished_at is not None and one.finished_at > MIDDLE),
    (
        TaskFilter(("failed", "canceled"), finished_before=MIDDLE),
        lambda one: (
            one.status in ("failed", "canceled") and one.finished_at is not None and one.finished_at < MIDDLE
        ),
    ),
]


@pytest.mark.parametrize("limit", [1, 4, 100])
async def test_pages_show_every_wanted_task_once_newest_first(model: SqlReadModel, limit: int) -> None:
    lives = mixed()
    await feed(model, lives.events)
    for wanted, fits in FILTERS:
        assert await walk(model, wanted, limit) == [one for one in lives.newest_first() if fits(one)]


async def test_tasks_are_counted_by_status_up_to_a_bound(model: SqlReadModel) -> None:
    lives = mixed()
    await feed(model, lives.events)
    for wanted, fits in FILTERS:
        found = [one.status.value for one in lives.newest_first() if fits(one)]
        assert await model.count(wanted, 1000) == Counter(found)
        assert await model.count(wanted, 3) == Counter(found[:4])


async def test_tasks_that_come_meanwhile_do_not_disturb_a_walk(model: SqlReadModel) -> None:
    lives = mixed()
    await feed(model, lives.events)
    before = lives.newest_first()
    page, cursor = await model.find(EVERYTHING, 10, None)
    lives.live()
    await feed(model, lives.events[await model.position() :])
    rest, end = await model.find(EVERYTHING, 1000, cursor)
    assert [*page, *rest] == before
    assert end is None


async def test_tasks_are_listed_by_creation_whatever_their_ids(model: SqlReadModel) -> None:
    lives = mixed()
    lives.step = timedelta(milliseconds=7)
    for version, first in enumerate("f3c0", start=4):
        lives.create(task_id=f"{first}198c5a2-7c1e-{version}bbd-9f5e-0d9a4f6f1c11")
    await feed(model, lives.events)
    assert await walk(model, EVERYTHING, 1) == lives.newest_first()
    assert [one.id[0] for one in lives.newest_first()[:4]] == ["0", "c", "3", "f"]


@pytest.mark.parametrize("limit", [1, 100])
async def test_an_old_task_is_found_by_either_end_of_its_id(model: SqlReadModel, limit: int) -> None:
    lives = mixed()
    ids = [f"0198c5a2-7c1e-7bbd-9f5e-{number:08x}6f1c" for number in (1, 2)]
    for task_id in [*ids, "0198c5a2-7c1e-7bbd-9f5e-6f1c00000000"]:
        lives.create(task_id=task_id, workspace="acme", pool="gpu", labels={"team": "a", "n": "1"})
    await feed(model, lives.events)
    parts = {part for one in lives.newest_first() for part in (one.id[:6], one.id[-6:], one.id[-13:], one.id)}
    for part in [*parts, "6f1c", "0198", "0000000000", "-9f5e-", "ffff"]:
        fits = [one for one in lives.newest_first() if one.id.startswith(part) or one.id.endswith(part)]
        assert await walk(model, TaskFilter(id_part=part), limit) == fits
    narrowed = TaskFilter(("created",), "acme", "gpu", (("team", "a"),), MIDDLE, "6f1c")
    assert {one.id for one in await walk(model, narrowed, limit)} == set(ids)
    for other in (
        TaskFilter(("failed",), id_part="6f1c"),
        TaskFilter(labels=(("team", "b"),), id_part="6f1c"),
    ):
        assert await walk(model, other, limit) == []


@pytest.mark.parametrize(
    "cursor", ["", "x", "bm8", "eyJhIjoxfQ", "WzEsMl0", "WyJhIiwiYiJd", "é", "\0", "W10=" * 50]
)
async def test_a_bad_cursor_is_invalid(model: SqlReadModel, cursor: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await model.find(EVERYTHING, 10, cursor)
    assert refusal.value.code == "bad-cursor"


async def test_lock_history_tells_the_recent_facts_of_a_task_or_workspace(model: SqlReadModel) -> None:
    lives = mixed()
    await feed(model, lives.events, 10)
    facts = [event for event in lives.events if event.kind == "lock"]
    for workspace in ("acme", "zoo", "nowhere"):
        mine = [event.seq for event in facts if event.subject_id == workspace]
        for limit in (1, 5, 1000):
            assert await model.lock_history(workspace, None, limit) == mine[-limit:]
    for task_id in lives.tasks:
        mine = [event.seq for event in facts if event.data["task_id"] == task_id]
        assert await model.lock_history(None, task_id, 10) == mine


async def test_a_page_of_very_large_tasks_ends_early_and_nothing_is_missed(
    model: SqlReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.read_model.store.PAGE_CHARS", 1000)
    lives = Lives()
    for number in range(7):
        lives.create(command=["x" * (800 if number % 2 else 8)])
    await feed(model, lives.events)
    page, cursor = await model.find(EVERYTHING, 10, None)
    assert 1 <= len(page) < 7
    assert cursor is not None
    monkeypatch.setattr("adapters.read_model.store.PAGE_CHARS", 1)
    assert await walk(model, EVERYTHING, 10) == lives.newest_first()


@pytest.mark.parametrize("seed", range(3))
async def test_a_void_dispatch_is_in_no_queue_whoever_has_applied_what_is_before_it(
    engine: AsyncEngine, seed: int
) -> None:
    """Workspaces move while tasks are dispatched; processes start, and overtake each other."""
    lives, chance = Lives(), random.Random(seed)
    lives.register("acme", "/w/acme")
    first = lives.table.judge.registrations.get("acme")
    assert first is not None
    other = replace(first, root="/w/other")
    models = [SqlReadModel(engine), SqlReadModel(engine)]
    applied = [0, 0]
    tasks = [lives.create(workspace="acme", lock_paths=[str(number % 3)]) for number in range(8)]
    voids = 0
    for _ in range(120):
        task_id = chance.choice(tasks)
        step = chance.choice(("register", "dispatch", "dispatch", "settle", "report", "cancel"))
        if step == "register":
            lives.register(chance.choice(["acme", "zoo"]), chance.choice(["/w/acme", "/w/other"]))
        elif step == "dispatch":
            lives.pinned = chance.choice([None, first, other])
            lives.dispatch(task_id)
        elif step == "report":
            lives.report(task_id, chance.choice(["running", "succeeded", "failed"]), runner_id="r1")
        elif step == "cancel":
            lives.act(task_id, lambda task: task.cancel(reason=None, at=lives.now, actor="op"))
        else:
            lives.decide("acme")
        voids += sum(lives.table.void_dispatch(one, lives.tasks[one].attempt) is not None for one in tasks)
        number = chance.randrange(3)
        if number == 2:
            number = chance.randrange(2)
            models[number], applied[number] = SqlReadModel(engine), await models[0].position()
        await models[number].apply(lives.events[applied[number] :])
        applied[number] = len(lives.events)
        for one in tasks:
            assert await models[0].get(one) == lives.expected(one)
    assert voids
