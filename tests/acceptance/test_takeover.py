"""Two projectors, one of them killed or stopped in the middle of work: the other goes on within seconds.

What it took is logged: `pytest tests/acceptance/test_takeover.py --log-cli-level=INFO`.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from infra.embedded_nats import EmbeddedNats
from tests.support.audit import audit
from tests.support.nats import StartNats, api, connect
from tests.support.postgres import running_postgres
from tests.support.towpath import DEADLINE, Client, Home, Server, free_port
from tests.support.waiting import eventually

BEFORE, AFTER = 30, 20
log = logging.getLogger(__name__)


class Work:
    """Dispatches tasks, each with a path of its own, into a pool that nobody serves."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.tasks: list[str] = []
        self._stop = threading.Event()

    def one(self) -> None:
        path = f"p{len(self.tasks)}"
        task_id = self._client.create(["true"], pool="mine", workspace="shop", lock_paths=[path])
        self.tasks.append(task_id)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """New tasks all the while."""
        thread = threading.Thread(target=self._go_on, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(DEADLINE)

    def _go_on(self) -> None:
        while not self._stop.is_set():
            self.one()


def control_settings(home: Home, server: EmbeddedNats, database: str | None) -> dict[str, str]:
    given = {
        "TOWPATH_NATS_URL": server.url,
        "TOWPATH_NATS_USER": server.control.user,
        "TOWPATH_NATS_PASSWORD": server.control.password or "",
        "TOWPATH_DATA_DIR": str(home.path / "control"),
        "TOWPATH_SUBMIT_DEADLINE_SECONDS": "600",
    }
    return given | ({"TOWPATH_DATABASE_URL": database} if database else {})


@contextmanager
def databases(kind: str) -> Iterator[str | None]:
    if kind == "sqlite":
        yield None
        return
    with running_postgres() as postgres:
        yield postgres.fresh_database()


def listed(client: Client) -> dict[str, Any]:
    """Every task as the read model has it."""
    found: dict[str, Any] = {}
    cursor = None
    while True:
        page = client.get("/tasks", limit=200, **({"cursor": cursor} if cursor else {}))
        found |= {one["id"]: one for one in page["items"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def answering(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
async def test_the_other_projector_takes_over(
    home: Home, start_nats: StartNats, fault: signal.Signals, database: str
) -> None:
    with databases(database) as url:
        server = start_nats()
        given = control_settings(home, server, url)
        projectors = [home.start("projector", **given) for _ in range(2)]
        port = free_port()
        home.start("api", "--port", str(port), **given)
        client = Client(home, f"http://127.0.0.1:{port}")
        await eventually(lambda: answering(client.url), DEADLINE)
        client.workspace("shop")
        work = Work(client)
        with work.going_on():
            await eventually(lambda: len(work.tasks) >= BEFORE, DEADLINE)
            os.killpg(projectors[0].process.pid, fault)
            struck = time.monotonic()
            await eventually(lambda: len(work.tasks) >= BEFORE + AFTER, DEADLINE)
        await all_sent(server, work)
        log.info("%s, %s: all sent %.1f s after", database, fault.name, time.monotonic() - struck)
        if fault is signal.SIGSTOP and database == "sqlite":
            # a process that is stopped with the file's lock in its hand keeps it
            os.killpg(projectors[0].process.pid, signal.SIGCONT)
        await all_listed(client, work)
        log.info("%s, %s: all listed %.1f s after", database, fault.name, time.monotonic() - struck)
        assert set(client.holders()) == set(work.tasks)
        await once_each(server, work, projectors, fault)


async def all_sent(server: EmbeddedNats, work: Work) -> None:
    """Wait until every attempt has been granted its lock and stands in its pool's queue, once."""
    connection = await connect(server.control_url)

    async def sent() -> bool:
        state = (await api(connection, "STREAM.INFO.TOWPATH_SUBMIT"))["state"]
        return int(state["messages"]) == len(work.tasks)

    await eventually(sent, DEADLINE)
    await connection.close()


async def all_listed(client: Client, work: Work) -> None:
    def reached() -> bool:
        found = listed(client)
        return {id for id, one in found.items() if one["lock"]["state"] == "held"} == set(work.tasks)

    await eventually(reached, DEADLINE)


async def once_each(
    server: EmbeddedNats, work: Work, projectors: list[Server], fault: signal.Signals
) -> None:
    """Whoever was stopped does nothing twice when it goes on, and both can still be told to end."""
    if fault is signal.SIGSTOP:
        os.killpg(projectors[0].process.pid, signal.SIGCONT)
    before = await audit(server.url)
    assert {task_id for task_id, _ in before.granted} == set(work.tasks)
    assert all(len(seqs) == 1 for seqs in before.granted.values())
    left = projectors if fault is signal.SIGSTOP else projectors[1:]
    assert [one.interrupt() for one in left] == [0] * len(left)
    after = await audit(server.url)
    assert after.granted == before.granted
    connection = await connect(server.control_url)
    state = (await api(connection, "STREAM.INFO.TOWPATH_SUBMIT"))["state"]
    assert int(state["last_seq"]) == len(work.tasks)
    await connection.close()
