"""An API and projectors on one NATS, and work that needs no runner: what tests of take-over share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import api, connect
from tests.support.ports import free_port
from tests.support.towpath import DEADLINE, Client, Home
from tests.support.waiting import eventually


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


def control_settings(home: Home, server: EmbeddedNats, **more: str) -> dict[str, str]:
    """Settings of the control plane's parts; nobody's submit deadline is over while a test runs."""
    return {
        "TOWPATH_NATS_URL": server.url,
        "TOWPATH_NATS_USER": server.control.user,
        "TOWPATH_NATS_PASSWORD": server.control.password or "",
        "TOWPATH_DATA_DIR": str(home.path / "control"),
        "TOWPATH_SUBMIT_DEADLINE_SECONDS": "600",
        **more,
    }


async def answering_api(home: Home, given: dict[str, str]) -> Client:
    """An API process that is ready, and workspace `shop`."""
    port = free_port()
    home.start("api", "--port", str(port), **given)
    client = Client(home, f"http://127.0.0.1:{port}")
    await eventually(lambda: ready(client.url), DEADLINE)
    client.workspace("shop")
    return client


def ready(url: str) -> bool:
    """Whether the API there is ready."""
    try:
        return httpx.get(f"{url}/readyz", timeout=5).is_success
    except httpx.TransportError:
        return False


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


async def submissions(server: EmbeddedNats) -> tuple[int, int]:
    """How many stand in the pools' queue, and how many were ever put there."""
    connection = await connect(server.control_url)
    try:
        state = (await api(connection, "STREAM.INFO.TOWPATH_SUBMIT"))["state"]
        return int(state["messages"]), int(state["last_seq"])
    finally:
        await connection.close()


async def all_sent(server: EmbeddedNats, work: Work) -> None:
    """Wait until every attempt stands in its pool's queue, once."""

    async def sent() -> bool:
        return (await submissions(server))[0] == len(work.tasks)

    await eventually(sent, DEADLINE)
