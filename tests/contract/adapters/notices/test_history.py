"""What people see of the notifier's state, and what they have sent again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from adapters.notices.database import create_notice_tables
from adapters.notices.history import SqlNoticeHistory
from adapters.notices.store import SqlNoticeState
from adapters.notices.tables import POSTGRES_SCHEMA, notices
from adapters.read_model.database import open_database
from domain.identifiers import RunnerId, TaskId
from domain.notices.message import Message, Notice, NoticeTask
from domain.ports.notices import GivenUp, NoticeFilter, NoticePlace, Placed, Step

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)
TASK, OTHER = TaskId("0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"), TaskId("0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c12")


def placed(id: str, task_id: TaskId = TASK, *, at: datetime = NOW, **changes: Any) -> Placed:
    about = NoticeTask(
        id=task_id, title="t", attempt=1, workspace=None, pool="default", labels={}, runner_id=RunnerId("r1")
    )
    notice = Notice(name="failed", text=f"failed: {id}", task=about)
    message = Message(id=id, type="towpath.task.failed.v1", subject=task_id, at=at, notice=notice)
    fields: dict[str, Any] = {
        "channel": "ops", "message": message, "name": "failed", "place": "", "runner_id": "r1",
        "at": at, "due_at": at, "bundles": False, "urgent": False,
    }  # fmt: skip
    return Placed(**{**fields, **changes})


async def given_up(state: SqlNoticeState, channel: str = "ops", at: datetime = NOW) -> None:
    """Let the next send to the channel be the last."""
    one = await state.next(channel, NOW)
    assert one is not None
    await state.failed(one, at, "it answers 410", None)


async def test_a_task_has_its_notices_also_those_in_a_digest(
    state: SqlNoticeState, history: SqlNoticeHistory
) -> None:
    soon = NOW + timedelta(seconds=1)
    await state.record(Step(notices=[placed("a", bundles=True), placed("b", OTHER, bundles=True)]))
    digest = await state.next("ops", NOW)
    assert digest is not None
    await state.sent(digest, soon)
    await state.record(Step(notices=[placed("c", at=LATER, channel="log")]))
    found = await history.page(NoticeFilter(task_id=TASK), 10)
    assert [(one.message.id, one.channel, one.state, one.changed_at, one.digest) for one in found] == [
        ("c", "log", "waiting", None, None),
        ("a", "ops", "sent", soon, digest.message.id),
    ]
    assert await history.page(NoticeFilter(task_id=TASK, state="sent"), 10) == found[1:]
    every = await history.page(NoticeFilter(), 10)
    assert [(one.message.id, one.members) for one in every] == [("c", 1), (digest.message.id, 2)]
    assert await history.page(NoticeFilter(channel="log"), 10) == every[:1]
    assert await history.page(NoticeFilter(state="sent"), 10) == every[1:]


async def test_pages_join_without_a_gap_at_one_time(state: SqlNoticeState, history: SqlNoticeHistory) -> None:
    await state.record(Step(notices=[placed(f"e{n}", channel=name) for n in range(3) for name in ("a", "b")]))
    found, behind = list[tuple[str, str]](), None
    while page := await history.page(NoticeFilter(), 2, behind):
        found += [(one.message.id, one.channel) for one in page]
        behind = NoticePlace(page[-1].at, page[-1].message.id, page[-1].channel)
    assert found == [(f"e{n}", name) for n in (2, 1, 0) for name in ("b", "a")]


async def test_a_replay_takes_what_was_seen_and_nothing_else(
    state: SqlNoticeState, history: SqlNoticeHistory
) -> None:
    await state.configure({"ops": "webhook", "new": "webhook"})
    assert [(one.channel, one.kind) for one in await history.figures(NOW)] == [
        ("new", "webhook"),
        ("ops", "webhook"),
    ]
    await state.record(Step(notices=[placed("a"), placed("b"), placed("c", channel="gone")]))
    await given_up(state)
    await given_up(state, at=LATER)
    await given_up(state, "gone")
    seen = [GivenUp("ops", "a", NOW), GivenUp("ops", "b", NOW), GivenUp("gone", "c", NOW)]
    assert await history.replay_seen(seen, LATER) == ["replayed", "changed", "no-such-channel"]
    assert await history.replay_seen(seen[:1], LATER) == ["changed"]
    assert await history.replay(LATER, channel="ops", upto=NOW) == 0
    assert await history.replay(LATER, channel="ops", upto=LATER) == 1
    assert await history.replay(LATER) == 0, "nothing would ever send it"
    assert [one.message.id for one in await history.page(NoticeFilter(state="dead"), 10)] == ["c"]
    (gone,) = [one for one in await history.figures(LATER) if one.channel == "gone"]
    assert (gone.kind, gone.dead) == (None, 1)


async def test_a_database_of_an_older_version_is_brought_up_to_date(
    url: str, state: SqlNoticeState, history: SqlNoticeHistory
) -> None:
    await state.record(Step(notices=[placed("a"), placed("b", OTHER)]))
    older = open_database(url, schema=POSTGRES_SCHEMA)
    try:
        async with older.begin() as connection:
            await connection.exec_driver_sql("DROP INDEX notices_by_task")
            await connection.exec_driver_sql("ALTER TABLE notices DROP COLUMN task_id")
            await connection.exec_driver_sql("DROP TABLE configured")
        await create_notice_tables(older)
        await create_notice_tables(older)
        async with older.connect() as connection:
            (text,) = await connection.scalars(select(notices.c.message).where(notices.c.task_id == OTHER))
        assert json.loads(text)["id"] == "b"
    finally:
        await older.dispose()
    await state.configure({"ops": "webhook"})
    assert [one.message.id for one in await history.page(NoticeFilter(task_id=TASK), 10)] == ["a"]
