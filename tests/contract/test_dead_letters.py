"""The contract of `DeadLetters` on JetStream: kept once, under a subject that nothing in it can break."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from nats.aio.client import Client

from adapters.dead_letters import JetStreamDeadLetters
from adapters.jetstream_api import JetStreamApi, RawMessage
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
