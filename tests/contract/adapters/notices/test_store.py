"""The notifier's state: what is recorded stays, goes out once, and is changed by one notifier alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.notices.database import create_notice_tables
from adapters.notices.history import SqlNoticeHistory
from adapters.notices.store import SqlNoticeState
from adapters.notices.tables import POSTGRES_SCHEMA
from adapters.read_model.database import create_tables, open_database
from adapters.read_model.store import SqlReadModel
from domain.log.position import Position
from domain.notices.conversation import NEW, Conversation
from domain.notices.message import Message, Notice, NoticeTask
from domain.notices.rules import Trigger
from domain.notices.watches import Changes, Watch
from domain.ports.notices import NoticeFilter, Placed, Posted, Pull, Standing, Step, Superseded
from tests.contract.adapters.notices.conftest import OpenState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON = timedelta(seconds=30)


def placed(id: str, *, due_at: datetime = NOW, **changes: Any) -> Placed:
    notice = Notice(name="failed", text=f"failed: {id}\nwhy")
    message = Message(id=id, type="towpath.task.failed.v1", subject="t", at=NOW, notice=notice)
    fields: dict[str, Any] = {
        "channel": "ops", "message": message, "name": "failed", "place": "shop", "runner_id": "r1",
        "at": NOW, "due_at": due_at, "bundles": False, "urgent": False,
    }  # fmt: skip
    return Placed(**{**fields, **changes})


async def test_a_new_state_has_no_position(state: SqlNoticeState) -> None:
    start = await state.start(NOW)
    assert (start.position, start.dead_seq, list(start.watches), dict(start.windows)) == (None, 0, [], {})


async def test_a_step_is_recorded_as_a_whole(state: SqlNoticeState) -> None:
    told = Watch(Trigger.parse("runs-over 1h"), NOW, "e1", "t1", 2, "r1", ("ops",))
    lost = Watch(Trigger("runner-lost"), NOW, "r1_5", runner_id="r1")
    changes = Changes(opened={one.key: one for one in (told, lost)})
    await state.record(Step(Position(7, "e7"), 3, [placed("e7")], changes))
    start = await state.start(NOW)
    assert (start.position, start.dead_seq) == (Position(7, "e7"), 3)
    assert sorted(start.watches, key=lambda one: one.key) == sorted([told, lost], key=lambda one: one.key)
    again = Watch(told.trigger, NOW, "e1", "t1", 2, "r1", ("ops", "log"))
    await state.record(Step(watches=Changes(opened={again.key: again}, ended={lost.key: lost})))
    start = await state.start(NOW)
    assert list(start.watches) == [again]
    assert start.position == Position(7, "e7")


async def test_a_notice_is_recorded_once(state: SqlNoticeState, history: SqlNoticeHistory) -> None:
    await state.record(Step(notices=[placed("e1"), placed("e1", channel="log")]))
    await state.record(Step(notices=[placed("e1"), placed("e2")]))
    out = []
    while (one := await state.next("ops", NOW)) is not None:
        out.append(one.message.id)
        await state.sent(one, NOW)
    assert out == ["e1", "e2"]
    assert [(one.channel, one.sent, one.waiting) for one in await history.figures(NOW)] == [
        ("log", 0, 1), ("ops", 2, 0),
    ]  # fmt: skip


async def test_nothing_goes_out_before_it_is_due(state: SqlNoticeState) -> None:
    await state.record(Step(notices=[placed("late", due_at=NOW + SOON), placed("now")]))
    one = await state.next("ops", NOW)
    assert one is not None
    assert one.message.id == "now"
    assert await state.next("ops", NOW) is None
    assert await state.next("other", NOW + SOON) is None
    later = await state.next("ops", NOW + SOON)
    assert later is not None
    assert later.message.id == "late"


async def test_what_fails_comes_again_until_it_is_given_up_and_replayed(
    state: SqlNoticeState, history: SqlNoticeHistory
) -> None:
    await state.record(Step(notices=[placed("e1")]))
    one = await state.next("ops", NOW)
    assert one is not None
    await state.failed(one, NOW, "it answers 500", NOW + SOON)
    assert await state.next("ops", NOW) is None
    assert [one.oldest for one in await history.figures(NOW)] == [NOW]
    one = await state.next("ops", NOW + SOON)
    assert one is not None
    assert (one.tries, one.first_try_at, one.message.notice.again) == (1, NOW, False)
    await state.failed(one, NOW + SOON, "it answers 500", None)
    (dead,) = await history.page(NoticeFilter(state="dead"), 10)
    assert (dead.message.id, dead.tries, dead.error) == ("e1", 2, "it answers 500")
    (figures,) = await history.figures(NOW)
    assert (figures.failed, figures.dead, figures.waiting, figures.oldest) == (2, 1, 0, None)
    assert await history.replay(NOW, ids=["other"]) == 0
    assert await history.replay(NOW) == 1
    one = await state.next("ops", NOW)
    assert one is not None
    assert one.tries == 0
    await state.sent(one, NOW)
    assert await history.page(NoticeFilter(state="dead"), 10) == []


async def test_a_burst_of_ten_thousand_is_one_digest_that_counts_all(
    state: SqlNoticeState, history: SqlNoticeHistory
) -> None:
    due = NOW + SOON
    burst = [
        placed(f"e{n:05}", due_at=due, bundles=True, place=f"w{n % 3}", runner_id=f"r{n % 7}")
        for n in range(10_000)
    ]
    for start in range(0, len(burst), 1000):
        await state.record(Step(notices=burst[start : start + 1000]))
    assert (await state.start(NOW)).windows == {"ops": due}
    assert await state.next("ops", NOW) is None
    one = await state.next("ops", due)
    assert one is not None
    assert one.members == one.message.data["count"] == 10_000
    assert sum(group["count"] for group in one.message.data["groups"]) == 10_000
    assert one.message.data["first"] == [f"e{n:05}" for n in range(5)]
    assert await state.next("ops", due) is None
    await state.failed(one, due, "it answers 500", due + SOON)
    one = await state.next("ops", due + SOON)
    assert one is not None
    assert one.members == 10_000
    await state.sent(one, due)
    (figures,) = await history.figures(due)
    assert (figures.sent, figures.waiting, figures.failed) == (10_000, 0, 1)


async def test_what_is_too_much_for_a_chat_is_a_digest_and_what_is_urgent_goes_first(
    state: SqlNoticeState, history: SqlNoticeHistory
) -> None:
    pull = Pull("5", most_due=3)
    await state.record(Step(notices=[placed(f"e{n}") for n in range(4)] + [placed("asked", urgent=True)]))
    one = await state.next("ops", NOW, pull)
    assert one is not None
    assert (one.message.id, one.folded) == ("asked", False)
    await state.failed(one, NOW, "no answer", NOW, unsure=True)
    one = await state.next("ops", NOW, pull)
    assert one is not None
    assert one.message.notice.again
    await state.sent(one, NOW)
    assert await state.next("ops", NOW, Pull("5", most_due=3, urgent_only=True)) is None
    one = await state.next("ops", NOW, pull)
    assert one is not None
    assert (one.members, one.folded) == (4, True)
    await state.sent(one, NOW)
    await state.record(Step(notices=[placed(f"f{n}") for n in range(3)]))
    one = await state.next("ops", NOW, pull)
    assert one is not None
    assert (one.members, one.folded) == (1, False)
    many = [placed(f"q{n}", urgent=True) for n in range(13)]
    await state.record(Step(notices=many))
    one = await state.next("ops", NOW, pull)
    assert one is not None
    assert (one.members, one.folded) == (15, True)
    assert sum(figures.waiting for figures in await history.figures(NOW)) == 16


async def test_what_a_chat_shows_about_a_task_is_kept(state: SqlNoticeState, open_state: OpenState) -> None:
    about = NoticeTask(id="t1", title="x", attempt=1, workspace=None, pool="p", labels={}, runner_id=None)
    told = [
        Message(id=id, type="t", subject="t1", at=NOW, notice=Notice(name="running", text="x", task=about))
        for id in ("e1", "e2", "e3")
    ]
    await state.record(Step(notices=[placed(one.id, message=one) for one in told]))
    shown = Conversation(7, 8, 9, ("created", "running"))
    for expected in (NEW, shown):
        one = await state.next("ops", NOW, Pull("5"))
        assert one is not None
        assert one.before == expected
        await state.sent(one, NOW, Posted("5", 8, "task t1", shown))
    assert await open_state("two").take(await state.standing())
    other = open_state("two")
    one = await other.next("ops", NOW, Pull("6"))  # the channel was pointed at another chat
    assert one is not None
    assert one.before == NEW
    await other.sent(one, NOW, Posted("6", 1, "task t1", Conversation(1, 1)))
    await other.forget(NOW + SOON)
    await other.record(Step(notices=[placed("e4", message=told[0].model_copy(update={"id": "e4"}))]))
    one = await other.next("ops", NOW, Pull("5"))
    assert one is not None
    assert one.before == NEW


async def test_a_state_of_an_older_version_is_migrated_and_loses_nothing(
    url: str, state: SqlNoticeState, open_state: OpenState
) -> None:
    await state.record(Step(Position(7, "e7"), 3, [placed("e1")]))
    engine = open_database(url, schema=POSTGRES_SCHEMA, survives_power_cut=True)
    async with engine.begin() as connection:
        for words in ("ALTER TABLE notices DROP COLUMN chat", "ALTER TABLE notices DROP COLUMN message_id",
                      "DROP TABLE conversations"):  # fmt: skip
            await connection.exec_driver_sql(words)
    await asyncio.gather(*(create_notice_tables(engine) for _ in range(2)))
    await engine.dispose()
    newer = open_state("one")
    assert (await newer.start(NOW)).position == Position(7, "e7")
    one = await newer.next("ops", NOW, Pull("5"))
    assert one is not None
    assert one.message.id == "e1"
    await newer.sent(one, NOW, Posted("5", 8, None, NEW))


async def test_one_alone_is_no_digest(state: SqlNoticeState) -> None:
    await state.record(Step(notices=[placed("e1", bundles=True)]))
    one = await state.next("ops", NOW)
    assert one is not None
    assert (one.message.id, one.members) == ("e1", 1)


async def test_what_is_urgent_joins_no_digest(state: SqlNoticeState) -> None:
    await state.record(
        Step(notices=[placed("e1", bundles=True), placed("e2", bundles=True), placed("asked", urgent=True)])
    )
    out = []
    while (one := await state.next("ops", NOW)) is not None:
        out.append((one.message.id, one.members, one.urgent))
        await state.sent(one, NOW)
    assert sorted(out) == [("asked", 1, True), ("digest_e1", 2, False)]


async def test_after_a_crash_a_notice_is_sent_again_and_marked_but_no_digest(
    state: SqlNoticeState, open_state: OpenState
) -> None:
    await state.record(Step(notices=[placed("e1"), placed("e2", channel="log", bundles=True)]))
    await state.record(Step(notices=[placed("e3", channel="log", bundles=True)]))
    assert await state.next("ops", NOW) is not None
    digest = await state.next("log", NOW)
    assert digest is not None
    assert digest.members == 2
    other = open_state("two")
    assert await other.take(await other.standing())
    await other.start(NOW)
    assert await other.next("log", NOW) is None
    one = await other.next("ops", NOW)
    assert one is not None
    assert one.message.notice.again
    assert one.message.notice.text.startswith("(again) ")
    assert one.message.id == "e1"


async def test_only_the_one_that_works_changes_anything(state: SqlNoticeState, open_state: OpenState) -> None:
    other = open_state("two")
    seen = await other.standing()
    assert seen.owner == "one"
    await state.beat()
    assert await other.standing() != seen
    assert not await other.take(seen)
    with pytest.raises(Superseded):
        await other.record(Step(notices=[placed("e1")]))
    assert await other.take(await other.standing())
    for act in (
        state.beat(),
        state.record(Step(notices=[placed("e2")])),
        state.next("ops", NOW),
        state.leave(),
    ):
        with pytest.raises(Superseded):
            await act
    await other.leave()
    assert (await state.standing()).owner is None


async def test_what_is_finished_is_forgotten_in_time(state: SqlNoticeState) -> None:
    await state.record(Step(notices=[placed("done"), placed("waits", due_at=NOW + SOON)]))
    one = await state.next("ops", NOW)
    assert one is not None
    await state.sent(one, NOW)
    await state.forget(NOW)
    await state.record(Step(notices=[placed("done")]))
    assert await state.next("ops", NOW) is None  # still known
    await state.forget(NOW + SOON)
    one = await state.next("ops", NOW + SOON)
    assert one is not None
    assert one.message.id == "waits"


async def test_a_rebuild_of_the_read_model_keeps_it(url: str, state: SqlNoticeState) -> None:
    await state.record(Step(Position(7, "e7"), 3, [placed("e7")]))
    engine = open_database(url)
    try:
        await create_tables(engine)
        await SqlReadModel(engine).reset()
    finally:
        await engine.dispose()
    assert (await state.start(NOW)).position == Position(7, "e7")
    assert await state.next("ops", NOW) is not None


async def test_tables_are_made_once(url: str, state: SqlNoticeState, open_state: OpenState) -> None:
    other = open_state("two")
    await create_notice_tables(other._engine)
    assert await other.standing() == Standing("one", 1)


async def test_a_cancellation_cuts_no_transaction_off(state: SqlNoticeState) -> None:
    before = (await state.standing()).beat
    for number in range(30):
        beating = asyncio.create_task(state.beat())
        for _ in range(number):
            await asyncio.sleep(0)
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
    after = (await state.standing()).beat
    assert before < after <= before + 30
