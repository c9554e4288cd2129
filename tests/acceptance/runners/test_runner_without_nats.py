"""A runner that knows HTTP alone: pushed to, it reports, sends heartbeats, is canceled, stopped and lost."""

from __future__ import annotations

import os
import signal

from tests.acceptance.jobs import resisting
from tests.support.ports import free_port
from tests.support.towpath import DEADLINE, Home
from tests.support.waiting import eventually

CLAIM = {"workspace": "shop", "lock_paths": ["src"]}


async def test_its_whole_life(home: Home) -> None:
    port = free_port()
    common = {"TOWPATH_LEASE_SECONDS": "3", "API_RUNNER_CALLBACK_TOKEN": "for-runners"}
    up = home.up(HOST_RUNNER_URL=f"http://127.0.0.1:{port}", **common)
    root = up.workspace("shop")
    options = ("--no-nats", "--listen", f"127.0.0.1:{port}", "--api-url", up.url, "--root", home.path)
    host = {"TOWPATH_DATA_DIR": str(home.path / "host"), "TOWPATH_RUNNER_ID": "pushed", **common}
    runner = home.start("runner", *options, **host)

    def state() -> str | None:
        return next((one["state"] for one in up.get("/runners")["items"] if one["id"] == "pushed"), None)

    await eventually(lambda: state() == "alive", DEADLINE)
    ran = up.towpath("run", "-w", "shop", "--path", "src", "--", "sh", "-c", "echo $TOWPATH_RUNNER_ID")
    assert (ran.returncode, ran.stdout.split()) == (0, ["pushed"])

    canceled = up.create(resisting("first"), **CLAIM)
    await eventually(lambda: (root / "first.log").exists(), DEADLINE)
    assert up.towpath("cancel", canceled).returncode == 0
    assert up.towpath("wait", canceled).returncode == 3
    assert up.task(canceled)["status"] == "canceled"

    lost = up.create(resisting("second"), **CLAIM)
    waiter = up.create(["sh", "-c", "cat second.log"], **CLAIM)
    await eventually(lambda: (root / "second.log").exists(), DEADLINE)
    os.kill(runner.process.pid, signal.SIGSTOP)
    task = await eventually(lambda: up.ended(lost), DEADLINE)
    size = (root / "second.log").stat().st_size
    assert (task["status"], task["reason"]) == ("failed", "runner-lost")
    os.kill(runner.process.pid, signal.SIGCONT)
    await eventually(lambda: state() == "alive", DEADLINE)
    if up.task(waiter)["status"] == "submit-failed":  # it was pushed while nobody could answer
        up.post(f"/tasks/{waiter}/dispatch")
    await eventually(lambda: up.task(waiter)["status"] == "succeeded", DEADLINE)
    assert (root / "second.log").stat().st_size == size
    assert up.task(lost)["status"] == "failed"
    await eventually(lambda: up.holders() == {}, DEADLINE)
    assert [server.interrupt() for server in (runner, up.server)] == [0, 0]


async def test_a_cancel_while_it_was_away_is_recorded_as_one(home: Home) -> None:
    port = free_port()
    common = {"API_RUNNER_CALLBACK_TOKEN": "for-runners"}
    up = home.up(HOST_RUNNER_URL=f"http://127.0.0.1:{port}", **common)
    root = up.workspace("shop")
    options = ("--no-nats", "--listen", f"127.0.0.1:{port}", "--api-url", up.url, "--root", home.path)
    host = {"TOWPATH_DATA_DIR": str(home.path / "host"), "TOWPATH_RUNNER_ID": "pushed", **common}
    runner = home.start("runner", *options, **host)
    await eventually(lambda: up.get("/runners")["items"], DEADLINE)
    task = up.create(resisting("first"), **CLAIM)
    await eventually(lambda: (root / "first.log").exists(), DEADLINE)
    os.kill(runner.process.pid, signal.SIGKILL)
    runner.process.wait()
    up.post(f"/tasks/{task}/cancel")
    home.start("runner", *options, **host)
    await eventually(lambda: up.ended(task), DEADLINE)
    assert (up.task(task)["status"], up.task(task)["reason"]) == ("canceled", None)
    await eventually(lambda: up.holders() == {}, DEADLINE)


def test_without_an_intake_it_does_not_start(home: Home) -> None:
    alone = {"TOWPATH_DATA_DIR": str(home.path / "host"), "TOWPATH_URL": "http://127.0.0.1:9"}
    ended = home.run("runner", "--no-nats", **alone)
    assert ended.returncode == 1
    assert "--listen" in ended.stderr
