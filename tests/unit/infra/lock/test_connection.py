"""The small HTTP client, against servers that answer well, badly and not at all."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from infra.lock.connection import Connection, Interrupted, Problem, Unanswered, quoted

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}'
CHUNKED = (
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n{"a\r\n4\r\n":1}\r\n0\r\nT: t\r\n\r\n'
)
CAPITAL = CHUNKED.replace(b"chunked", b"Chunked")
EARLY = b"HTTP/1.1 100 Continue\r\n\r\n" + OK
GONE = b'HTTP/1.1 404 Not Found\r\nContent-Length: 38\r\n\r\n{"type":"urn:x:no-such","detail":"no"}'


@contextmanager
def server(*connections: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Each connection gets its answers, one for each request, and is closed then; what was asked."""
    asked: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answers in connections:
            with listening.accept()[0] as peer:
                for answer in answers:
                    asked.append(peer.recv(65536))
                    peer.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/base/", asked
    thread.join(10)
    listening.close()


@pytest.mark.parametrize("answer", [OK, CHUNKED, CAPITAL, EARLY])
def test_answers(answer: bytes) -> None:
    with server([answer, answer]) as (url, asked):
        connection = Connection(url, {"X-Key": "k"})
        assert connection.ask("GET", "/x") == {"a": 1}
        assert connection.ask("POST", "/y", {"b": "é"}) == {"a": 1}
        connection.close()
    head, _, body = asked[1].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /base/y HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"X-Key: k\r\nContent-Type: application/json\r\nContent-Length: " in head
    assert body == b'{"b": "\\u00e9"}'


def test_an_answer_that_was_asked_for_early_is_that_of_its_request_alone() -> None:
    other = OK.replace(b"1}", b"2}")
    with server([OK, OK], [other]) as (url, asked):
        connection = Connection(url, {})
        connection.begin("/x")
        assert connection.ask("GET", "/x") == {"a": 1}
        connection.begin("/x")
        assert connection.ask("GET", "/y") == {"a": 2}
        connection.close()
    assert [one.split()[1] for one in asked] == [b"/base/x", b"/base/x", b"/base/y"]


@pytest.mark.parametrize("early", [[], [b""]])
def test_where_nothing_answers_early_the_request_is_sent_again(early: list[bytes]) -> None:
    with server(early, [OK]) as (url, _):
        connection = Connection(url, {})
        connection.begin("/x")
        assert connection.ask("GET", "/x") == {"a": 1}
        connection.close()


def test_a_problem_has_its_code_and_words() -> None:
    with server([GONE]) as (url, _), pytest.raises(Problem, match="no") as problem:
        Connection(url, {}).ask("GET", "/x")
    assert (problem.value.status, problem.value.code) == (404, "no-such")


def test_a_kept_connection_that_was_closed_is_opened_again() -> None:
    with server([OK], [OK]) as (url, asked):
        connection = Connection(url, {})
        assert [connection.ask("GET", "/x"), connection.ask("GET", "/x")] == [{"a": 1}] * 2
        connection.close()
    assert len(asked) == 2


def test_an_answer_that_came_twice_belongs_to_one_request_only() -> None:
    """As from a proxy that has sent a request again: taken for the next, it would acknowledge a heartbeat."""
    with server([OK * 2], [OK.replace(b"1}", b"2}")]) as (url, asked):
        connection = Connection(url, {})
        assert [connection.ask("POST", "/x"), connection.ask("POST", "/y")] == [{"a": 1}, {"a": 2}]
        connection.close()
    assert asked[1].startswith(b"POST /base/y ")


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"]
)
def test_no_answer_is_told_apart(answer: bytes) -> None:
    with server([answer]) as (url, _), pytest.raises(Unanswered):
        Connection(url, {}).ask("GET", "/x")


def test_silence_ends_in_time_and_an_interrupt_at_once() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    connection = Connection(f"http://127.0.0.1:{listening.getsockname()[1]}", {})
    with pytest.raises(Unanswered):
        connection.ask("GET", "/x", seconds=0.05)
    connection.interrupt, end = os.pipe()
    os.write(end, b"x")
    with pytest.raises(Interrupted):
        connection.ask("GET", "/x", seconds=600)
    connection.close()
    listening.close()


def test_an_answer_that_never_begins_is_given_up_in_time() -> None:
    """However fast what is no answer comes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening.accept()[0] as peer, suppress(OSError):
            peer.recv(65536)
            for _ in range(400):
                peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000)
            peer.sendall(OK)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    connection = Connection(f"http://127.0.0.1:{listening.getsockname()[1]}", {})
    with pytest.raises(Unanswered, match="no answer in time"):
        connection.ask("GET", "/x", seconds=0.05)
    connection.close()
    thread.join(10)
    listening.close()


@pytest.mark.parametrize(
    "begin", [b"HTTP/1.1 200 OK\r\nX: ", CHUNKED.partition(b"\r\n\r\n")[0] + b"\r\n\r\n1;"]
)
def test_a_head_has_a_bound(begin: bytes) -> None:
    with server([begin + b"x" * (1 << 18)]) as (url, _), pytest.raises(Unanswered, match="65536 bytes"):
        Connection(url, {}).ask("GET", "/x")


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "http://x:port"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"is no URL|invalid literal"):
        Connection(url, {})


def test_quoting() -> None:
    assert quoted("a b/é~_") == "a%20b%2F%C3%A9~_"
