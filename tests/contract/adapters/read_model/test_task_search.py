"""What `ReadModel` lists, counts and finds, on SQLite and on PostgreSQL."""

from __future__ import annotations

import signal as signals
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.read_model.store import SqlReadModel
from domain.errors import Invalid
from domain.identifiers import RunnerId
from domain.ports.read_model import TaskFilter
from domain.runners.runner_key import PREFIX, runner_id_of
from domain.task.requested_end import on_request
from domain.task.view import TaskRead
from tests.contract.adapters.read_model.read_model_lives import Lives
from tests.contract.adapters.read_model.read_model_random import perform
from tests.contract.adapters.read_model.read_model_walk import EVERYTHING, feed, mixed, walk
from tests.unit.api.api_harness import new_id


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
    assert await model.open_questions(lives.now) == (3, asked_at[ids[0]], ids[0])
    assert await walk(model, TaskFilter(asking=True), 2) == lives.newest_first()
    assert await walk(model, TaskFilter(asking=True, workspace="acme"), 2) == [lives.expected(ids[1])]
    perform(lives, ids[0], ("answer", "q1", "b"))
    lives.act(ids[1], lambda task: task.cancel(reason=None, at=lives.now, actor="op"))
    lives.report(ids[2], "failed")
    await feed(model, lives.events[await model.position() :], size)
    assert await model.open_questions(lives.now) == (0, None, None)
    assert await walk(model, TaskFilter(asking=True), 2) == []
    assert await walk(model, TaskFilter(asking=False), 2) == lives.newest_first()


async def test_questions_whose_time_is_over_without_a_default_do_not_count(model: SqlReadModel) -> None:
    lives = Lives()
    asked = {"text": "?", "choices": ["a"], "expires_seconds": 60}
    for number, more in enumerate([{}, {"default": "a"}, {"expires_seconds": 7200}]):
        task_id = lives.create()
        lives.dispatch(task_id)
        lives.report(task_id, "running", runner_id="r1")
        perform(lives, task_id, ("ask", {"question_id": f"q{number}", **asked, **more}))
    await feed(model, lives.events, 1000)
    counts = [await model.open_questions(lives.now + timedelta(hours=hours)) for hours in (0, 1, 3)]
    assert [one.number for one in counts] == [3, 2, 1]
    assert len(await walk(model, TaskFilter(asking=True), 10)) == 3


async def test_a_shortened_id_finds_the_tasks_of_that_runner(model: SqlReadModel) -> None:
    lives = Lives()
    ids = [f"host-lock-{digest}{'0' * 24}" for digest in ("0123abcd", "0123abce")]
    for pool in (*ids, "host-lock-0123abcd"):
        task_id = lives.create(pool=pool)
        lives.dispatch(task_id)
        lives.report(task_id, "running", runner_id=pool)
    await feed(model, lives.events)
    by_hand, second, first = lives.newest_first()
    for short, fitting in (("host-lock-0123abcd", [by_hand, first]), ("host-lock-0123abce", [second])):
        assert await walk(model, TaskFilter(runner=short), 10) == fitting
        assert await walk(model, TaskFilter(pool=short), 10) == fitting
    assert await walk(model, TaskFilter(runner="host-lock-0123ab"), 10) == []


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
    (TaskFilter(exit_code=2), lambda one: one.exit_code == 2),
    (
        TaskFilter(exit_code=0, labels=(("team", "a"),)),
        lambda one: (one.exit_code, one.labels["team"]) == (0, "a"),
    ),
    (
        TaskFilter(exit_code=2, runner="r1", reason="error"),
        lambda one: (one.exit_code, one.reason) == (2, "error"),
    ),
    (TaskFilter(lock="waiting"), lambda one: one.lock.state == "waiting"),
    (
        TaskFilter(("running",), "acme", lock="held"),
        lambda one: (one.status, one.workspace, one.lock.state) == ("running", "acme", "held"),
    ),
    (TaskFilter(min_attempt=1), lambda one: one.attempt >= 1),
    (TaskFilter(min_attempt=2), lambda one: one.attempt >= 2),
    (TaskFilter(min_attempt=3), lambda one: False),
    (
        TaskFilter(("dispatched",), min_attempt=2, workspace="zoo"),
        lambda one: (one.status, one.attempt, one.workspace) == ("dispatched", 2, "zoo"),
    ),
    (TaskFilter(words=("bUILD 3",)), lambda one: "Build 3" in one.title),
    (
        TaskFilter(("failed",), words=("NIGHT", "100%_")),
        lambda one: "night" in one.title and one.status == "failed",
    ),
    (TaskFilter(words=("Nächte",), pool="gpu"), lambda one: "Nächte" in one.title and one.pool == "gpu"),
    (TaskFilter(words=("NÄCHTE",)), lambda one: False),
    (TaskFilter(words=("10__",)), lambda one: False),
    (TaskFilter(workspace="acme", pool="gpu"), lambda one: (one.workspace, one.pool) == ("acme", "gpu")),
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
        assert await model.count(wanted, 1000) == (Counter(found), False)
        assert await model.count(wanted, 3) == (Counter(found[:4]), len(found) > 3)


async def test_lists_begin_with_the_oldest_task_where_it_is_asked_for(model: SqlReadModel) -> None:
    lives = mixed()
    await feed(model, lives.events)
    oldest_first = lives.newest_first()[::-1]
    for wanted, fits in FILTERS:
        oldest = replace(wanted, oldest_first=True)
        assert await walk(model, oldest, 4) == [one for one in oldest_first if fits(one)]
    _, cursor = await model.find(TaskFilter(oldest_first=True), 4, None)
    back, _ = await model.find(EVERYTHING, 4, cursor)
    assert back == oldest_first[:3][::-1], "the same place, seen from the other side"


async def test_tasks_are_listed_by_their_ids(model: SqlReadModel) -> None:
    lives = mixed()
    await feed(model, lives.events)
    named = lives.newest_first()[3:40:7]
    ids = tuple(one.id for one in named)
    assert await walk(model, TaskFilter(ids=(*ids, new_id())), 2) == named
    failed = [one for one in named if one.status == "failed"]
    assert await walk(model, TaskFilter(("failed",), ids=ids), 2) == failed
    assert await model.count(TaskFilter(ids=ids), 100) == (Counter(one.status.value for one in named), False)


async def test_a_bounded_number_of_tasks_is_looked_at_and_none_is_missed(
    model: SqlReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = mixed()
    await feed(model, lives.events)
    for name in ("EXAMINED", "COUNT_EXAMINED"):
        for place in ("store", "task_search"):
            monkeypatch.setattr(f"adapters.read_model.{place}.{name}", 7)
    page, cursor = await model.find(TaskFilter(words=("no", "such", "title")), 10, None)
    assert (page, cursor is not None) == ([], True)
    for wanted, fits in FILTERS:
        for oldest_first in (False, True):
            order = -1 if oldest_first else 1
            fitting = [one for one in lives.newest_first()[::order] if fits(one)]
            assert await walk(model, replace(wanted, oldest_first=oldest_first), 5) == fitting
    counted = await model.count(TaskFilter(words=("build",)), 1000)
    assert (sum(counted.by_status.values()), counted.capped) == (7, True)


async def test_a_row_has_no_large_fields(model: SqlReadModel) -> None:
    lives = mixed()
    await feed(model, lives.events)
    rows, _ = await model.find(EVERYTHING, 100, None, brief=True)
    large = {"command": [], "message": None, "output_tail": None}
    assert rows == [one.model_copy(update=large) for one in lives.newest_first()]


async def test_failures_are_counted_by_runner(model: SqlReadModel) -> None:
    lives = Lives()
    for number, runner in enumerate(["r1", "r2", "r2", None]):
        task_id = lives.create(title=f"task {number}")
        lives.dispatch(task_id)
        if runner is None:
            lives.act(
                task_id, lambda task: task.submit_failed(1, "unreachable", "away", at=lives.now, actor="op")
            )
        else:
            lives.report(task_id, "running", runner_id=runner)
            lives.report(task_id, "failed", exit_code=number + 1)
        if number == 0:
            since = lives.now - lives.step
    await feed(model, lives.events)
    assert [task.status.value for task in lives.tasks.values()] == ["failed"] * 3 + ["submit-failed"]
    statuses = {"failed": 2, "submit-failed": 1}
    titles = ["task 3", "task 2", "task 1"]
    assert await model.failures_since(since, 100) == ([("r2", 2), (None, 1)], statuses, titles, 0)
    assert await model.failures_since(lives.now, 100) == ([], {}, [], 0)
    assert (await model.failures_since(since, 2)).number == 2
    lives.dispatch(next(iter(reversed(lives.tasks))))
    await feed(model, lives.events[await model.position() :])
    assert await model.failures_since(since, 100) == ([("r2", 2)], {"failed": 2}, titles[1:], 0)


async def test_failures_on_request_are_counted_apart(model: SqlReadModel) -> None:
    lives = Lives()
    since = lives.now - lives.step
    for title, reason in [("refused", "workspace-locked"), ("away", "unreachable")]:
        task_id = lives.create(title=title)
        lives.dispatch(task_id)
        lives.act(task_id, lambda task, why=reason: task.submit_failed(1, why, "", at=lives.now, actor="op"))
    task_id = lives.create(title="stopped")
    lives.dispatch(task_id)
    lives.report(task_id, "running", runner_id="r1")
    lives.act(task_id, lambda task: task.cancel(reason=None, at=lives.now, actor="op"))
    lives.report(task_id, "failed", exit_code=1)
    await feed(model, lives.events)
    assert await model.failures_since(since, 100) == ([(None, 1)], {"submit-failed": 1}, ["away"], 2)
    for wanted in (False, True):
        found = await walk(model, TaskFilter(on_request=wanted), 10)
        assert {task.title for task in found} == ({"stopped", "refused"} if wanted else {"away"})
        assert {on_request(task) for task in found} == {wanted}


async def test_a_cancel_between_attempts_and_another_attempt_change_what_was_wanted(
    model: SqlReadModel,
) -> None:
    lives = Lives()
    since = lives.now - lives.step
    task_id = lives.create(title="build", retry={"max_attempts": 3, "backoff_seconds": 10, "on": ["exit"]})
    lives.dispatch(task_id)
    lives.report(task_id, "running", runner_id="r1")
    lives.report(task_id, "failed", exit_code=1)
    await feed(model, lives.events)
    assert await model.failures_since(since, 100) == ([("r1", 1)], {"failed": 1}, ["build"], 0)
    lives.act(task_id, lambda task: task.cancel(reason=None, at=lives.now, actor="op"))
    await feed(model, lives.events[await model.position() :])
    assert await model.failures_since(since, 100) == ([], {}, [], 1)
    lives.dispatch(task_id)
    lives.report(task_id, "running", runner_id="r1")
    lives.report(task_id, "failed", exit_code=1)
    await feed(model, lives.events[await model.position() :])
    assert await model.failures_since(since, 100) == ([("r1", 1)], {"failed": 1}, ["build"], 0)


@pytest.mark.parametrize(
    ("signal", "terminal", "wanted"),
    [
        ("SIGINT", True, 1),
        ("SIGQUIT", True, 1),
        ("SIGTERM", True, 0),
        ("SIGKILL", True, 0),
        ("SIGINT", False, 0),
    ],
)
async def test_a_command_of_a_terminal_that_a_key_ended_is_no_failure(
    model: SqlReadModel, signal: str, terminal: bool, wanted: int
) -> None:
    lives = Lives()
    since = lives.now - lives.step
    task_id = lives.create(title="edit")
    lives.dispatch(task_id)
    runner = runner_id_of("desk", PREFIX + "k") if terminal else RunnerId("r1")
    lives.report(task_id, "running", runner_id=runner)
    code = -getattr(signals, signal)
    lives.report(task_id, "failed", exit_code=code, reason="killed", runner_id=runner)
    await feed(model, lives.events)
    found = await model.failures_since(since, 100)
    assert (found.number, found.on_request) == (1 - wanted, wanted)


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
