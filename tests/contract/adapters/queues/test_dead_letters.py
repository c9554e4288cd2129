"""The contract of `DeadLetters` on JetStream: kept once, under a subject that nothing in it can break."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote, unquote

import pytest
from nats.aio.client import Client

from adapters.event_store.audit_records import JetStreamAuditRecords
from adapters.nats.jetstream_api import JetStreamApi, RawMessage
from adapters.queues.dead_letter_budget import MOST_ALIKE, MOST_BYTES
from adapters.queues.dead_letters import DETAIL_CHARS, LOOKED_AT_BYTES, JetStreamDeadLetters
from domain.evidence.audit_record import DATA_BYTES
from domain.runners.report_reader import read_report
from domain.services.dead_letters import DeadLetterService
from tests.support.nats import subjects


async def letters(connection: Client) -> list[RawMessage]:
    last = await JetStreamApi(connection, "TOWPATH_DEAD").last("towpath.dead.>")
    if last is None:
        return []
    found = [await JetStreamApi(connection, "TOWPATH_DEAD").get(seq) for seq in range(1, last.seq + 1)]
    return [one for one in found if one is not None]


async def test_body_and_reason_are_kept(js_connection: Client) -> None:
    await JetStreamDeadLetters(js_connection).keep("report", "task-1", b"\x00{", "gave-up", "später\r\nX: y")
    (letter,) = await letters(js_connection)
    assert (letter.subject, letter.data) == ("towpath.dead.report.task-1", b"\x00{")
    assert letter.headers["towpath-reason"] == "gave-up"
    assert unquote(letter.headers["towpath-detail"]) == "später\r\nX: y"
    assert "X" not in letter.headers


@pytest.mark.parametrize("subject_id", ["a.b", "*", ">", "", "a b", "ä/ö", "x" * 500, "\r\n"])
async def test_any_id_makes_one_token(js_connection: Client, subject_id: str) -> None:
    await JetStreamDeadLetters(js_connection).keep("report", subject_id, b"{}", "invalid-report", "x")
    (subject,) = await subjects(js_connection, "TOWPATH_DEAD")
    assert len(subject.split(".")) == 4
    assert not set(subject) & set("*> \r\n")


async def test_the_same_is_kept_once_and_what_differs_is_kept(js_connection: Client) -> None:
    dead = JetStreamDeadLetters(js_connection)
    for _ in range(3):
        await dead.keep("report", "t", b"{}", "conflicting-end", "one")
    await dead.keep("report", "t", b"{}", "conflicting-end", "two")
    await dead.keep("report", "t", b"{ }", "conflicting-end", "one")
    await dead.keep("report", "u", b"{}", "conflicting-end", "one")
    assert len(await letters(js_connection)) == 4


async def test_what_was_removed_and_comes_again_is_kept_again(js_connection: Client) -> None:
    dead = JetStreamDeadLetters(js_connection)
    await dead.keep("report", "t", b"{}", "conflicting-end", "one")
    (letter,) = await letters(js_connection)
    await dead.remove(letter.seq)
    await js_connection.jetstream().purge_stream("TOWPATH_DEAD")
    await dead.keep("report", "t", b"{}", "conflicting-end", "one")  # the broker still knows its id
    assert await dead.count() == 1


async def test_a_letter_under_a_foreseen_id_is_not_taken_for_the_one_to_come(js_connection: Client) -> None:
    digest = hashlib.sha256(b"report\nt\nconflicting-end\none\n{}").hexdigest()
    await js_connection.jetstream().publish("towpath.dead.submit.t", b"{}", headers={"Nats-Msg-Id": digest})
    dead = JetStreamDeadLetters(js_connection)
    await dead.keep("report", "t", b"{}", "conflicting-end", "one")
    assert [one.kind for one in await dead.page(0, 10)] == ["submit", "report"]


async def test_header_names_are_read_in_any_case(js_connection: Client) -> None:
    headers = {"Towpath-Reason": "no", "TOWPATH-DETAIL": "why%21"}
    await js_connection.jetstream().publish("towpath.dead.submit.gpu", b"x", headers=headers)
    (letter,) = await JetStreamDeadLetters(js_connection).page(0, 10)
    assert (letter.reason, letter.detail) == ("no", "why!")


async def test_what_runners_write_too_long_can_be_dropped_and_is_recorded(js_connection: Client) -> None:
    names = ("towpath-reason", "towpath-detail", "towpath-source")
    headers = {name: "towpath.submit." + quote("\x01" * 5000) for name in names}
    await js_connection.jetstream().publish("towpath.dead.submit.gpu", b"x", headers=headers)
    dead, records = JetStreamDeadLetters(js_connection), JetStreamAuditRecords(js_connection)
    tasks = log = cast("Any", None)
    service = DeadLetterService(dead, tasks, log, {}, records, lambda: datetime.now(UTC))
    await service.drop(1, "admin:bob", "\x01" * 500)
    assert await dead.count() == 0
    (found,) = await records.newest("dead-letter", 10)
    assert len(found.what.data["detail"]) == DETAIL_CHARS
    assert len(json.dumps(found.what.data)) <= DATA_BYTES


async def test_they_are_listed_by_kind_shown_and_removed(js_connection: Client) -> None:
    dead = JetStreamDeadLetters(js_connection)
    assert (await dead.page(0, 10), await dead.count(), await dead.get(1)) == ([], 0, None)
    for number in range(4):
        kind = "due-attempt" if number % 2 else "report"
        await dead.keep(kind, f"a.{number}", b"%d" % number, "why", "ö", source="x", source_seq=number)
    found = await dead.page(0, 10)
    assert [(one.seq, one.kind, one.subject_id, one.body) for one in found] == [
        (1, "report", "a.0", b"0"),
        (2, "due-attempt", "a.1", b"1"),
        (3, "report", "a.2", b"2"),
        (4, "due-attempt", "a.3", b"3"),
    ]
    assert [one.seq for one in await dead.page(1, 2)] == [2, 3]
    assert [one.seq for one in await dead.page(0, 10, "report")] == [1, 3]
    assert [await dead.count(kind) for kind in (None, "report", "due-attempt", "submit")] == [4, 2, 2, 0]
    assert await dead.get(3) == found[2]
    assert (found[2].reason, found[2].detail, found[2].source, found[2].source_seq) == (
        "why",
        "ö",
        "x",
        2,
    )
    assert abs((datetime.now(UTC) - found[2].at).total_seconds()) < 60
    for _ in range(2):
        await dead.remove(3)
    assert (await dead.get(3), await dead.count()) == (None, 3)
    assert [one.seq for one in await dead.page(0, 10)] == [1, 2, 4]


async def test_what_others_kept_without_headers_is_listed_too(js_connection: Client) -> None:
    jetstream = js_connection.jetstream()
    await jetstream.publish("towpath.dead.submit.gpu", b"\xff", headers={"towpath-reason": "no"})
    await jetstream.publish("towpath.dead.odd", b"")
    first, second = await JetStreamDeadLetters(js_connection).page(0, 10)
    assert (first.kind, first.subject_id, first.reason, first.source) == ("submit", "gpu", "no", None)
    assert (second.kind, second.subject_id, second.reason) == ("odd", "", "unknown")


async def test_a_deadline_goes_back_to_the_timers(js_connection: Client) -> None:
    dead = JetStreamDeadLetters(js_connection)
    source = "towpath.timer.due.attempt.t.1"
    await dead.keep("due-attempt", "t", b"note", "not-handled", "x", source=source)
    letter = await dead.get(1)
    assert letter is not None
    await dead.put_back(letter)
    raw = await JetStreamApi(js_connection, "TOWPATH_TIMER").last(source)
    assert raw is not None
    assert raw.data == b"note"


async def test_a_flood_of_junk_pushes_out_only_its_like(js_connection: Client) -> None:
    """As many reports of tasks that do not exist as a guest likes, each as large as it may be."""
    dead = JetStreamDeadLetters(js_connection)
    for kind, subject_id, reason in (
        ("report", "ended", "conflicting-end"),
        ("report", "broken", "gave-up"),
        ("dispatch", "task", "not-handled"),
        ("submit", "pool", "unreadable"),
    ):
        await dead.keep(kind, subject_id, b"{}", reason, "mine")
    for number in range(MOST_ALIKE + 30):
        await dead.keep("report", f"junk{number}", b"x" * 100_000, "invalid-report", "junk")
    found = await letters(js_connection)
    kept = [one for one in found if one.subject.startswith("towpath.dead.report.junk")]
    assert [one.subject for one in found if one not in kept] == [
        "towpath.dead.report.ended",
        "towpath.dead.report.broken",
        "towpath.dead.dispatch.task",
        "towpath.dead.submit.pool",
    ]
    assert len(kept) == MOST_ALIKE
    assert kept[-1].subject == f"towpath.dead.report.junk{MOST_ALIKE + 29}", "the newest stay"
    assert {len(one.data) for one in kept} == {LOOKED_AT_BYTES}
    assert dead.dropped == {("report", "invalid-report"): 30}
    assert await JetStreamDeadLetters(js_connection).full() == [("report", "invalid-report")]
    assert await dead.last_seq() == found[-1].seq
    await dead.remove(found[-1].seq)
    assert await dead.last_seq() == found[-1].seq, "also where it is gone"


async def test_another_process_counts_what_stands(js_connection: Client) -> None:
    for dead in (JetStreamDeadLetters(js_connection), JetStreamDeadLetters(js_connection)):
        for number in range(MOST_ALIKE // 2 + 5):
            await dead.keep("report", f"{id(dead)}-{number}", b"{}", "no-such-task", "junk")
    assert len(await letters(js_connection)) == MOST_ALIKE


async def test_one_task_has_a_budget_of_its_own(js_connection: Client) -> None:
    dead = JetStreamDeadLetters(js_connection)
    await dead.keep("report", "other", b"{}", "conflicting-end", "mine")
    for number in range(40):
        await dead.keep("report", "noisy", str(number).encode(), "conflicting-end", "junk")
    found = await subjects(js_connection, "TOWPATH_DEAD")
    assert found == {"towpath.dead.report.other": 1, "towpath.dead.report.noisy": 20}


async def test_large_reports_push_out_only_their_like(js_connection: Client) -> None:
    """Each as large as it may be, and of every reason that whoever reports can bring about."""
    dead = JetStreamDeadLetters(js_connection)
    await dead.keep("report", "honest", b"{}", "conflicting-end", "mine")
    body = b'{"status": "succeeded", "attempt": 1, "message": "%s", "output_tail": "%s"}'
    large = body % (b"y" * 60_000, b"\\u0001" * 10_000)
    for reason in ("not-dispatched", "unknown-attempt", "no-such-task"):
        for number in range(90):
            await dead.keep("report", f"{reason}{number}", large, reason, "junk")
    found = await letters(js_connection)
    assert found[0].subject == "towpath.dead.report.honest"
    for reason in ("not-dispatched", "unknown-attempt", "no-such-task"):
        alike = [one for one in found if one.headers["towpath-reason"] == reason]
        assert 0 < sum(len(one.data) for one in alike) <= MOST_BYTES
        assert alike[-1].subject.endswith("89")
        assert read_report(alike[-1].data) == read_report(large), "it can be replayed"
    assert ("report", "no-such-task") in await dead.full()


async def test_what_a_runner_put_there_is_about_its_pool(js_connection: Client) -> None:
    headers = {"towpath-reason": "no", "towpath-source": "towpath.submit.gpu"}
    await js_connection.jetstream().publish("towpath.dead.submit.unreadable", b"x", headers=headers)
    (letter,) = await JetStreamDeadLetters(js_connection).page(0, 10)
    assert (letter.kind, letter.subject_id) == ("submit", "gpu")
