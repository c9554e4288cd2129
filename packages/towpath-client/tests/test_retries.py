"""What is sent again, and what is not: against a server that loses, refuses and hangs as it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from both_clients import opened
from scripted_server import DROP, HANG, Scripted, scripted
from towpath_client import AsyncClient, BadConfiguration, Client, NotTowpath, Status, Unanswered, problems

ID = "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"
TASK = {
    "id": ID, "title": "t", "status": "created", "attempt": 0, "command": ["true"], "seq": 1, "version": 1,
    "created_at": "2026-03-01T12:00:00Z",
}  # fmt: skip
JSON = {"Content-Type": "application/json"}
CREATED = (201, TASK, JSON)


def problem(status: int, code: str, **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    return (status, {"code": code, "status": status, "detail": "as told"}, headers)


@contextmanager
def against(kind: str, *script: Any, **options: Any) -> Iterator[tuple[Any, Scripted]]:
    """A client and its server."""
    with scripted(*script) as server:
        clients = opened(kind, server.url, **options)
        yield next(clients), server
        for _ in clients:
            raise AssertionError("one client only")


def test_a_create_whose_answer_is_lost_is_sent_again_with_its_id(kind: str) -> None:
    busy = problem(503, "log-unreachable")
    with against(kind, DROP, (502, b"bad gateway", {}), busy, CREATED) as (client, server):
        assert client.create(["true"]).status == Status.CREATED
        assert {said for said, _ in server.requests} == {"POST /tasks"}
        (name,) = {body["id"] for _, body in server.requests}
        assert name[14] == "7"


@pytest.mark.parametrize("circle", [["a"], ["a", "b"], ["a", "b", "c", "d", "e"]])
def test_pages_that_go_round_in_a_circle_are_noticed(kind: str, circle: list[str]) -> None:
    pages = [(200, {"items": [], "next_cursor": name}, JSON) for name in circle * 4]
    with against(kind, *pages) as (client, server):
        with pytest.raises(NotTowpath, match="come again"):
            list(client.tasks())
        server.leave_the_rest()


COMMANDS: list[Callable[[Any], Any]] = [
    lambda client: client.dispatch(ID),
    lambda client: client.cancel(ID),
    lambda client: client.release(ID, "it hangs"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_whose_outcome_is_unknown_is_not_sent_again(kind: str, command: Any) -> None:
    for lost in (DROP, (502, b"", {}), (504, b"", {})):
        with against(kind, lost) as (client, _), pytest.raises(Unanswered):
            command(client)
    for unknown in (problem(503, "too-slow"), problem(503, "log-unreachable"), (503, b"", {})):
        with against(kind, unknown) as (client, _), pytest.raises(problems.Unavailable):
            command(client)


def test_a_cancel_that_names_its_attempt_is_sent_again(kind: str) -> None:
    with against(kind, DROP, problem(503, "too-slow"), CREATED) as (client, server):
        assert client.cancel(ID, attempt=0).id == ID
        assert [body for _, body in server.requests] == [{"attempt": 0}] * 3


@pytest.mark.parametrize("code", ["overloaded", "busy"])
def test_a_command_that_had_no_effect_is_sent_again(kind: str, code: str) -> None:
    with against(kind, problem(503, code), problem(429, "rate"), CREATED) as (client, _):
        assert client.dispatch(ID).id == ID


def test_retry_after_is_obeyed(kind: str) -> None:
    with against(kind, problem(503, "busy", **{"Retry-After": "1"}), CREATED) as (client, _):
        started = time.monotonic()
        client.get(ID)
        assert time.monotonic() - started >= 1


def test_the_time_of_a_call_is_bounded_with_all_its_retries(kind: str) -> None:
    late = problem(503, "busy", **{"Retry-After": "30"})
    with against(kind, late) as (client, server):
        with pytest.raises(problems.Busy) as refused:
            client.get(ID, timeout=2)
        assert (refused.value.retry_after, len(server.requests)) == (30, 1)
    with against(kind, HANG, timeout=0.3) as (client, _), pytest.raises(Unanswered):
        client.get(ID)


@pytest.mark.parametrize(
    "answer",
    [(200, b"<html>", {}), (200, {"id": 1}, JSON), (404, b"<html>", {}), (302, b"", {"Location": "/x"})],
)
def test_what_is_not_towpath_is_told(kind: str, answer: Any) -> None:
    with against(kind, answer) as (client, _), pytest.raises(NotTowpath):
        client.get(ID)


def test_a_compressed_answer_is_not_read(kind: str) -> None:
    with against(kind, (200, b"x", {"Content-Encoding": "gzip"})) as (client, _), pytest.raises(NotTowpath):
        client.get(ID)


def test_a_newer_api_is_understood(kind: str) -> None:
    newer = {**TASK, "status": "sleeping", "mood": "fine", "lock": {"state": "pawned"}}
    with against(kind, (200, newer, JSON), problem(409, "made-up")) as (client, _):
        task = client.get(ID)
        assert (task.status, str(task.status), task.ended) == ("sleeping", "sleeping", False)
        assert (task.lock.state, task.model_extra) == ("pawned", {"mood": "fine"})
        with pytest.raises(problems.Conflict) as refused:
            client.get(ID)
        assert refused.value.code == "made-up"


def test_arguments_win_over_the_environment(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOWPATH_URL", "TOWPATH_TOKEN"):
        monkeypatch.setenv(name, "http://nowhere.invalid")
    with against(kind, CREATED, token="wonderland") as (client, server):
        client.get(ID)
        assert server.headers[0]["authorization"] == "Bearer wonderland"
        assert "wonderland" not in repr(client._config)
    monkeypatch.setenv("TOWPATH_TOKEN", "looking-glass")
    with against(kind, CREATED) as (client, server):
        client.get(ID)
        assert server.headers[0]["authorization"] == "Bearer looking-glass"


def test_an_async_client_in_another_event_loop_says_so() -> None:
    one, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    with scripted(CREATED) as server:
        client = AsyncClient(server.url)
        assert one.run_until_complete(client.get(ID)).id == ID
        with pytest.raises(BadConfiguration, match="another event loop"):
            other.run_until_complete(client.get(ID))
        one.run_until_complete(client.close())
    one.close()
    other.close()


def test_a_closed_client_says_so(kind: str) -> None:
    with against(kind) as (client, _):
        client.close()
        with pytest.raises(BadConfiguration, match="closed"):
            client.get(ID)


@pytest.mark.parametrize("url", ["towpath", "ftp://host", "http://", "http://host:x"])
def test_a_url_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(BadConfiguration):
        Client(url)
