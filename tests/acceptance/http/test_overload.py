"""A burst on an API whose NATS says nothing: all is answered, memory is bounded, no doubt remains."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from uuid_utils.compat import uuid7

from tests.support.nats import StartNats
from tests.support.ports import free_port
from tests.support.towpath import DEADLINE, Client, Home
from tests.support.waiting import eventually

BURST = 5_000
CONNECTIONS = 600
MAX_REQUESTS = 300
MIB = 1 << 20
GROWTH = 100 * MIB


async def test_a_burst_while_nats_is_stopped_is_answered_and_settled(
    home: Home, start_nats: StartNats
) -> None:
    server = start_nats()
    port = free_port()
    control = {
        "TOWPATH_NATS_URL": server.url,
        "TOWPATH_NATS_USER": server.control.user,
        "TOWPATH_NATS_PASSWORD": server.control.password or "",
        "TOWPATH_DATA_DIR": str(home.path / "control"),
        "TOWPATH_MAX_REQUESTS": str(MAX_REQUESTS),
    }
    process = home.start("api", "--port", str(port), **control)
    home.start("projector", **control)
    api = Client(home, f"http://127.0.0.1:{port}")
    await eventually(lambda: _ready(api), DEADLINE)
    running = [api.create(["true"], pool="elsewhere") for _ in range(50)]
    for task_id in running:
        api.post(f"/runner/tasks/{task_id}/status", {"status": "running"})

    before = _resident(process.process.pid)
    created = [str(uuid7()) for _ in range(BURST // 2)]
    requests = [*(_create(task_id) for task_id in created), *(_other(running) for _ in range(BURST // 2))]
    random.Random(7).shuffle(requests)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        answers = await _burst(port, requests)
        assert httpx.get(f"{api.url}/livez", timeout=DEADLINE).status_code == 200
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert Counter(status for status, _, _ in answers) == {503: BURST}
    assert all("retry-after" in head for _, head, _ in answers)
    codes = Counter(code for _, _, code in answers)
    assert codes["overloaded"] > BURST // 2, "most are refused at once"
    assert BURST - codes["overloaded"] >= MAX_REQUESTS, "and so many were let in"
    assert _resident(process.process.pid) - before < GROWTH

    await eventually(lambda: _ready(api), DEADLINE)
    async with httpx.AsyncClient(base_url=api.url, timeout=DEADLINE) as http:
        for task_id in created[:200] + created[-200:]:  # whatever became of them, asking again settles it
            answer = await _settled(http, _create(task_id))
            assert answer.status_code in (200, 201), answer.text
        for task_id in running:
            answer = await _settled(http, _report(task_id))
            assert answer.status_code == 200, answer.text
    names = Counter((event["task_id"], event["event"]) for event in api.events())
    assert max(names.values()) == 1, "nothing stands in the log twice"
    assert all(names[(task_id, "created")] == 1 for task_id in created[:200] + created[-200:])
    assert all(names[(task_id, "succeeded")] == 1 for task_id in running)


Request = tuple[str, str, dict[str, Any] | None]


def _create(task_id: str) -> Request:
    return "POST", "/tasks", {"id": task_id, "command": ["true"], "labels": {"pad": "x" * 400}}


def _report(task_id: str) -> Request:
    return "POST", f"/runner/tasks/{task_id}/status", {"status": "succeeded"}


def _other(running: list[str]) -> Request:
    task_id = random.choice(running)
    return random.choice(
        [
            ("GET", f"/tasks/{task_id}", None),
            ("GET", "/events", None),
            ("POST", f"/tasks/{task_id}/dispatch", None),
            _report(task_id),
        ]
    )


async def _burst(port: int, requests: list[Request]) -> list[tuple[int, str, str]]:
    """Status, head and code of each answer, over many connections; httpx would take longer than the API."""
    waiting = iter(requests)
    answers: list[tuple[int, str, str]] = []

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for method, path, body in waiting:
            sent = json.dumps(body).encode() if body is not None else b""
            head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            writer.write(f"{head}content-length: {len(sent)}\r\n\r\n".encode() + sent)
            told = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            problem = await reader.readexactly(int(told.partition("content-length: ")[2].split()[0]))
            answers.append((int(told.split()[1]), told, json.loads(problem)["code"]))
        writer.close()

    async with asyncio.timeout(3 * DEADLINE):
        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return answers


async def _settled(http: httpx.AsyncClient, request: Request) -> httpx.Response:
    """As a client does: again after what Retry-After says, for as long as the answer is 503."""

    async def answered() -> httpx.Response | None:
        answer = await http.request(request[0], request[1], json=request[2])
        return None if answer.status_code == 503 else answer

    return await eventually(answered, DEADLINE)


def _ready(api: Client) -> bool:
    try:
        return httpx.get(f"{api.url}/readyz", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def _resident(pid: int) -> int:
    """Bytes of memory the process has now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
