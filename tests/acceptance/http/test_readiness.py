"""`/readyz` of a real API process: each part is broken for real, named, and comes back."""

from __future__ import annotations

from typing import Any

import httpx

from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import StartNats
from tests.support.ports import free_port
from tests.support.servers.postgres import running_postgres
from tests.support.towpath import DEADLINE, Home
from tests.support.waiting import eventually

PARTS = ("nats", "log", "locks", "read-model", "reports")


def settings_of(home: Home, server: EmbeddedNats, database: str) -> dict[str, str]:
    return {
        "TOWPATH_NATS_URL": server.url,
        "TOWPATH_NATS_USER": server.control.user,
        "TOWPATH_NATS_PASSWORD": server.control.password or "",
        "TOWPATH_DATA_DIR": str(home.path / "control"),
        "TOWPATH_DATABASE_URL": database,
    }


class Probe:
    """Asks `/readyz`."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/readyz"

    def broken(self) -> dict[str, str] | None:
        """What each part that is not ok says; None without an answer."""
        try:
            answer = httpx.get(self.url, timeout=10)
        except httpx.TransportError:
            return None
        body: dict[str, Any] = answer.json()
        assert tuple(body["parts"]) == PARTS
        found = {name: says for name, says in body["parts"].items() if says != "ok"}
        assert (answer.status_code, body["status"]) == ((503, 503) if found else (200, "ready"))
        assert all(name in body["detail"] for name in found)
        return found

    async def until(self, *names: str) -> dict[str, str]:
        """Wait until exactly these parts are not ready."""

        def reached() -> dict[str, str] | bool:
            found = self.broken()
            assert found is not None
            assert set(found) == set(names), found
            return found or True

        found = await eventually(reached, DEADLINE)
        return found if isinstance(found, dict) else {}


async def test_each_part_that_is_not_ready_says_so(home: Home, start_nats: StartNats) -> None:
    with running_postgres() as postgres:
        server = start_nats()
        given = settings_of(home, server, postgres.fresh_database())
        port = free_port()
        home.start("api", "--port", str(port), **given)
        home.start("projector", **given)
        probe = Probe(port)
        await probe.until()

        server.stop()
        found = await probe.until("nats", "log", "locks", "read-model", "reports")
        assert "is the NATS server up" in found["nats"]
        assert "does not answer" in found["log"]
        server.start()
        await probe.until()
        assert httpx.post(f"http://127.0.0.1:{port}/tasks", json={"command": ["true"]}).is_success

    found = await probe.until("read-model")
    assert "TOWPATH_DATABASE_URL" in found["read-model"]
