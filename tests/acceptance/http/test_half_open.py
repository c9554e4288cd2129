"""Strangers who send half of what they could send do not end a healthy job."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.towpath import DEADLINE, Home, Up
from tests.support.waiting import eventually

POSTS, HEADS = 132, 2_000
TASK = "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"
POST = (
    f"POST /runner/tasks/{TASK}/status HTTP/1.1\r\nHost: localhost\r\n"
    'Content-Type: application/json\r\nContent-Length: 500000\r\n\r\n{"'
).encode()
HEAD = b"GET /tasks HTTP/1.1\r\nHost: loc"


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process opens that many sockets itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Half-open connections that trickle and come again when they are cut, until told to stop."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.opened = 0

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        held: list[socket.socket | None] = [None] * (POSTS + HEADS)
        while not self._stop.wait(0.2):
            for number, one in enumerate(held):
                if self._stop.is_set():
                    break
                if one is None:
                    with contextlib.suppress(OSError):
                        one = held[number] = socket.create_connection(("127.0.0.1", self._port), 1)
                        one.setblocking(False)
                        one.send(POST if number < POSTS else HEAD)
                        self.opened += 1
                    continue
                try:
                    one.send(b" " if number < POSTS else b"a")
                except BlockingIOError:
                    continue
                except OSError:
                    one.close()
                    held[number] = None
        for one in held:
            if one is not None:
                one.close()


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize(
    "token", ["", "callback-token-0123456789abcdef"], ids=["open", "with a callback token"]
)
async def test_a_job_runs_to_its_end_among_thousands_of_half_open_requests(home: Home, token: str) -> None:
    env = {"TOWPATH_LEASE_SECONDS": "6"} | ({"API_RUNNER_CALLBACK_TOKEN": token} if token else {})
    up: Up = home.up(**env)
    seconds = 12  # two leases: without heartbeats in time it would not live so long
    with Crowd(int(up.url.rpartition(":")[2])) as crowd:
        await eventually(lambda: crowd.opened > POSTS + HEADS, DEADLINE)
        began = time.monotonic()
        task_id = up.create(["sleep", str(seconds)])
        ended = await eventually(lambda: up.ended(task_id), DEADLINE)
        assert time.monotonic() - began >= seconds
    assert (ended["status"], ended["attempt"], ended["exit_code"]) == ("succeeded", 1, 0)
    assert up.server.interrupt() == 0
