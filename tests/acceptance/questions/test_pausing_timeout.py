"""A timeout that pauses while the job waits for an answer, as the log, the API and the shim see it."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

from tests.acceptance.questions.test_asking import CURL
from tests.support.ports import free_port
from tests.support.towpath import DEADLINE, Client, Home, Up
from tests.support.waiting import eventually

TIMEOUT = 5.0
ASKS = [sys.executable, "-c", CURL]
ASKS_AND_STAYS = [sys.executable, "-c", f"{CURL}\nimport time\nprint('stays', flush=True)\ntime.sleep(600)"]


def _seconds(later: str, earlier: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


async def _answered_after_the_timeout(client: Client, task_id: str) -> None:
    """Answer once a task without `timeout_pauses` that was begun later was killed."""
    await eventually(lambda: client.task(task_id)["question"], DEADLINE)
    plain = client.create(ASKS, timeout_seconds=TIMEOUT)
    ended = await eventually(lambda: client.ended(plain), DEADLINE)
    assert (ended["status"], ended["reason"]) == ("failed", "timeout")
    assert client.task(task_id)["status"] == "running"
    assert client.towpath("answer", task_id, "--text", "blue").returncode == 0


async def _goes_on_and_ends_in_time(client: Client) -> None:
    pausing: dict[str, Any] = {"timeout_seconds": TIMEOUT, "timeout_pauses": True}
    done = client.create(ASKS, **pausing)
    await _answered_after_the_timeout(client, done)
    task = await eventually(lambda: client.ended(done), DEADLINE)
    assert (task["status"], task["timeout_pauses"]) == ("succeeded", True)
    assert task["output_tail"].splitlines()[0] == "told blue"

    stays = client.create(ASKS_AND_STAYS, **pausing)
    await _answered_after_the_timeout(client, stays)
    task = await eventually(lambda: client.ended(stays), DEADLINE)
    assert (task["status"], task["reason"]) == ("failed", "timeout")
    assert task["message"].startswith("did not end within 5 s, without the time of its open questions")
    times = {one["event"]: one["time"] for one in client.events(task_id=stays)}
    pause = _seconds(times["answered"], times["asked"])
    assert _seconds(task["finished_at"], task["started_at"]) >= TIMEOUT + pause


async def test_it_stands_still_while_a_question_is_open(up: Up) -> None:
    await _goes_on_and_ends_in_time(up)


async def test_a_runner_without_nats_asks_the_api(home: Home) -> None:
    port = free_port()
    common = {"API_RUNNER_CALLBACK_TOKEN": "for-runners"}
    up = home.up(HOST_RUNNER_URL=f"http://127.0.0.1:{port}", **common)
    options = ("--no-nats", "--listen", f"127.0.0.1:{port}", "--api-url", up.url)
    host = {"TOWPATH_DATA_DIR": str(home.path / "host"), "TOWPATH_RUNNER_ID": "pushed", **common}
    runner = home.start("runner", *options, **host)
    await eventually(lambda: up.get("/runners")["items"], DEADLINE)
    await _goes_on_and_ends_in_time(up)
    assert [server.interrupt() for server in (runner, up.server)] == [0, 0]


async def test_the_command_line_asks_for_it_and_needs_a_timeout(up: Up) -> None:
    ran = up.towpath("run", "--timeout-pauses", "--", "true")
    assert (ran.returncode, "give --timeout TIME" in " ".join(ran.stderr.split())) == (2, True)
    ran = up.towpath("run", "--detach", "--timeout", "1m", "--timeout-pauses", "--", "true")
    task = await eventually(lambda: up.ended(ran.stdout.strip()), DEADLINE)
    assert (task["status"], task["timeout_seconds"], task["timeout_pauses"]) == ("succeeded", 60.0, True)
