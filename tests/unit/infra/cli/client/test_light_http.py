"""Requests without httpx, against servers that answer well, badly and late; and which URLs go to httpx."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from infra.cli.client.http import Api, Silent, Unanswered, Unreachable
from infra.cli.client.light_http import is_plain, light_client
from infra.errors.cli_error import CliError

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}'
TO_THE_END = b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"a":1}'
COMPRESSED = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\n{}"
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}"
CUT = b'HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\n{"a":1}'
ELSEWHERE = b"HTTP/1.1 302 Found\r\nLocation: http://other/?q\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def server(
    *connections: list[bytes], closed: threading.Semaphore | None = None
) -> Iterator[tuple[str, list[bytes]]]:
    """Each connection gets its answers, one for each request, and is closed then; what was asked.

    `closed` is released for each that was closed.
    """
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for answers in connections:
                with listening.accept()[0] as peer:
                    for answer in answers:
                        asked.append(peer.recv(65536))
                        peer.sendall(answer)
                if closed is not None:
                    closed.release()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        thread.join(10)


@pytest.mark.parametrize("answer", [OK, TO_THE_END])
def test_the_answer_and_the_request_as_it_was_sent(answer: bytes) -> None:
    with server([answer]) as (url, asked), Api(f"{url}/base/", "secret") as api:
        assert api.get("/x", label=["a=b", "c d"], all=True, none=None, empty="") == {"a": 1}

    head = asked[0].decode()
    assert head.startswith("GET /base/x?label=a%3Db&label=c%20d&all=true HTTP/1.1\r\n")
    assert "Authorization: Bearer secret\r\n" in head
    assert "Accept-Encoding: identity\r\n" in head


def test_a_connection_that_was_closed_meanwhile_is_opened_again() -> None:
    closed = threading.Semaphore(0)
    with server([OK], [OK], closed=closed) as (url, asked), Api(url, None) as api:
        assert api.get("/x") == {"a": 1}
        assert closed.acquire(timeout=60)
        assert api.post("/y", {"b": 2}) == {"a": 1}
    assert len(asked) == 2


def test_requests_of_several_threads_get_their_own_answers() -> None:
    """The first request is answered only once the second one has its answer, over a connection of its own."""
    begun, answered = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            first, _ = listening.accept()
            first.recv(65536)
            begun.set()
            peer, _ = listening.accept()
            peer.recv(65536)
            peer.sendall(OK.replace(b"1}", b"2}"))
            answered.wait(10)
            first.sendall(OK)
            first.close()
            peer.close()

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        with Api(f"http://127.0.0.1:{listening.getsockname()[1]}", None) as api, ThreadPoolExecutor() as pool:
            slow = pool.submit(api.get, "/slow")
            assert begun.wait(10)
            assert api.get("/quick") == {"a": 2}
            answered.set()
            assert slow.result(10) == {"a": 1}
        serving.join(10)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (COMPRESSED, CliError, "the answer is compressed"),
        (LARGE, CliError, "the answer is larger than 67108864 bytes"),
        (CUT, Unanswered, "broke"),
        (b"rubbish\r\n\r\n", Unanswered, "broke"),
        (b"", Unanswered, "broke"),
        (ELSEWHERE, CliError, r"sends elsewhere \(HTTP 302, to http://other/\)"),
    ],
)
def test_bad_answers(answer: bytes, kind: type[CliError], words: str) -> None:
    with server([answer]) as (url, _), Api(url, None) as api, pytest.raises(kind, match=words):
        api.get("/x")


def test_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with (
            Api(url, None, answer_seconds=0.05) as api,
            pytest.raises(Silent, match="did not answer in time"),
        ):
            api.get("/x")


def test_nothing_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with Api(url, None) as api, pytest.raises(Unreachable, match=r"\(Connection refused\)"):
            api.get("/x")


def test_urls_that_httpx_has_to_read() -> None:
    plain = ("http://127.0.0.1:8000", "http://[::1]:1/", "http://towpath.example/base", "http://LocalHost")
    others = (
        "https://127.0.0.1", "http://user:secret@host", "http://höst", "http://h/ä", "http://h:0", "http://h:65536",
        "http://h?q", "http://h#f", "ftp://h", "http://", "http://-h", "http://h/%41", "http://h\n",
    )  # fmt: skip
    assert [url for url in plain if not is_plain(url)] == []
    assert [url for url in others if is_plain(url)] == []


def test_proxies_and_headers_that_httpx_has_to_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert light_client("http://h", {}, 1, trust_env=True) is not None
    assert light_client("http://h", {"X": "a\r\nY: b"}, 1, trust_env=True) is None
    monkeypatch.setenv("ALL_PROXY", "http://proxy")
    assert light_client("http://h", {}, 1, trust_env=True) is None
    assert light_client("http://127.0.0.1", {}, 1, trust_env=False) is not None
