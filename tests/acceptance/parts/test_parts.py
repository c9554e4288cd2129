"""The parts alone, in pairs, against one NATS: one of each is killed, nothing stops or happens twice."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import StartNats
from tests.support.observers.audit import audit
from tests.support.ports import free_port
from tests.support.towpath import DEADLINE, Client, Home
from tests.support.waiting import eventually

CRITICAL = "mkdir inside && echo $TOWPATH_LOCK_TOKEN >> tokens.txt && sleep 0.1 && rmdir inside"
PATHS = ("src", "src/api", "src", "src/api/v1")
ROUNDS = 4


async def test_pairs_of_parts_survive_the_death_of_one_of_each(home: Home, start_nats: StartNats) -> None:
    server = start_nats()
    control = _credentials(server, server.control.user, server.control.password) | {
        "TOWPATH_DATA_DIR": str(home.path / "control"),
        "TOWPATH_SECRET_KEY": "one secret for all of them",
        "API_RUNNER_CALLBACK_TOKEN": "for-runners",
    }
    projectors = [home.start("projector", **control) for _ in range(2)]
    ports = [free_port(), free_port()]
    servers = [home.start("api", "--port", str(port), **control) for port in ports]
    apis = [Client(home, f"http://127.0.0.1:{port}") for port in ports]
    runner = _credentials(server, server.runner.user, server.runner.password) | {
        "TOWPATH_DATA_DIR": str(home.path / "host"),
        "TOWPATH_ROOTS": str(home.path),
        "TOWPATH_RUNNER_ID": "host-1",
    }
    home.start("runner", **runner)
    for api in apis:
        await eventually(_answering(api), DEADLINE)
    await eventually(lambda: [one["id"] for one in apis[1].get("/runners")["items"]] == ["host-1"], DEADLINE)

    root = apis[0].workspace("shop")
    first = [
        apis[number % 2].create(["sh", "-c", CRITICAL], workspace="shop", lock_paths=[path])
        for number, path in enumerate(PATHS * ROUNDS)
    ]
    await eventually(lambda: apis[1].ended(first[0]), DEADLINE)
    projectors[0].kill()
    servers[0].kill()
    second = [
        apis[1].create(["sh", "-c", CRITICAL], workspace="shop", lock_paths=[path]) for path in PATHS * 2
    ]
    for task_id in [*first, *second]:
        task = await eventually(lambda task_id=task_id: apis[1].ended(task_id), DEADLINE)
        assert (task["status"], task["runner_id"]) == ("succeeded", "host-1"), task

    found = await audit(server.url)
    assert {task_id for task_id, _ in found.granted} == {*first, *second}
    tokens = [int(token) for token in (root / "tokens.txt").read_text().split()]
    assert tokens == sorted(tokens)
    assert sorted(seq for seqs in found.granted.values() for seq in seqs) == tokens
    await eventually(lambda: apis[1].holders() == {}, DEADLINE)

    assert [server.interrupt() for server in (servers[1], projectors[1])] == [0, 0]


def _credentials(server: EmbeddedNats, user: str, password: str | None) -> dict[str, str]:
    return {
        "TOWPATH_NATS_URL": server.url,
        "TOWPATH_NATS_USER": user,
        "TOWPATH_NATS_PASSWORD": password or "",
    }


def _answering(api: Client) -> Callable[[], bool]:
    def ready() -> bool:
        try:
            return httpx.get(f"{api.url}/readyz", timeout=5).is_success
        except httpx.TransportError:
            return False

    return ready
