"""`kill -9` for everything in the middle of work: what was acknowledged stays, what ran is dead."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.jobs import hold, let_go, resisting
from tests.support.nats import connect
from tests.support.observers.audit import audit
from tests.support.towpath import DEADLINE, ENDED, Home, Up
from tests.support.waiting import eventually

ACKNOWLEDGED = 40


class Storm:
    """A runner of our own that creates tasks and reports on them as fast as it is answered."""

    def __init__(self, url: str) -> None:
        self.answers: list[dict[str, Any]] = []
        self._url = url
        self._thread = threading.Thread(target=self._blow, daemon=True)

    @contextlib.contextmanager
    def blowing(self) -> Iterator[Storm]:
        self._thread.start()
        yield self
        self._thread.join(DEADLINE)

    def _blow(self) -> None:
        spec = {"command": ["true"], "pool": "mine"}
        with contextlib.suppress(httpx.TransportError), httpx.Client(base_url=self._url, timeout=5) as http:
            while True:
                task = self._note(http.post("/tasks?dispatch=true", json=spec))
                for status in ("running", "failed"):
                    self._note(http.post(f"/runner/tasks/{task['id']}/status", json={"status": status}))

    def _note(self, answer: httpx.Response) -> dict[str, Any]:
        assert answer.is_success, answer.text
        task: dict[str, Any] = answer.json()
        self.answers.append(task)
        return task


async def test_after_kill_9_nothing_acknowledged_is_gone_and_nothing_killed_goes_on(home: Home) -> None:
    up = home.up(TOWPATH_RUNNER_CAPACITY="2")
    root = up.workspace("shop")
    running = [
        up.create(resisting(name), workspace="shop", lock_paths=[name], env={"NOT_SHOWN": "s3cret"})
        for name in ("src", "docs")
    ]
    await eventually(lambda: (root / "src.log").exists() and (root / "docs.log").exists(), DEADLINE)
    queued = up.create(["true"])
    waiting = [
        up.create(["sh", "-c", f"echo {path} >> done.txt"], workspace="shop", lock_paths=[path])
        for path in ("src", "src/api", "docs")
    ]
    last = up.create(["sh", "-c", "echo whole >> done.txt"], workspace="shop")
    await eventually(lambda: up.task(queued)["status"] == "queued", DEADLINE)
    assert [up.task(one)["lock"]["state"] for one in [*waiting, last]] == ["waiting"] * 4

    heard: dict[int, tuple[str, str]] = {}
    watcher = await connect(up.nats_url, allow_reconnect=False, error_cb=_ignore)

    async def note(message: Any) -> None:
        heard[int(message.headers["Nats-Sequence"])] = message.subject, message.headers["ce-chain"]

    await watcher.subscribe("towpath.>", cb=note)
    await watcher.flush()
    before = up.events()
    with Storm(up.url).blowing() as storm:
        await eventually(lambda: len(storm.answers) >= ACKNOWLEDGED, DEADLINE)
        _kill_all(up)
    await watcher.close()

    await eventually(lambda: home.processes() == [], DEADLINE)
    written = {name: (root / f"{name}.log").stat().st_size for name in ("src", "docs")}

    up = home.up(TOWPATH_RUNNER_CAPACITY="2")
    for task_id in [*waiting, last]:
        task = await eventually(lambda task_id=task_id: up.ended(task_id), DEADLINE)
        assert task["status"] == "succeeded", task
    for task_id in [*running, queued]:
        task = await eventually(lambda task_id=task_id: up.ended(task_id), DEADLINE)
        assert (task["status"], task["reason"]) == ("failed", "runner-lost"), task
    assert {name: (root / f"{name}.log").stat().st_size for name in written} == written
    assert sorted((root / "done.txt").read_text().split()) == ["docs", "src", "src/api", "whole"]

    found = await audit(up.nats_url)
    log = {event["seq"]: event for event in up.events()}
    assert len(found.chains) >= len(log)
    assert [log[event["seq"]] for event in before] == before
    assert {seq: (found.subjects[seq], found.chains[seq]) for seq in heard} == heard
    for answer in storm.answers:
        event = log[answer["seq"]]
        assert (event["task_id"], event["version"]) == (answer["id"], answer["version"])
    await eventually(lambda: up.holders() == {}, DEADLINE)
    assert up.server.interrupt() == 0


async def test_a_lock_that_was_held_is_still_held_and_its_end_is_still_heard(home: Home) -> None:
    """A runner that outlives the control plane: its lock stays, and its report is taken afterwards."""
    up = home.up("--port", "0")
    root = up.workspace("shop")
    mine = up.create(["true"], workspace="shop", lock_paths=["src"], pool="mine")
    up.post(f"/runner/tasks/{mine}/status", {"status": "running", "runner_id": "me"})
    waiter = hold(up, root, "shop", ["src/api"])
    let_go(root, waiter)
    token = up.holders()[mine]
    _kill_all(up)
    await eventually(lambda: home.processes() == [], DEADLINE)

    up = home.up()
    assert up.holders() == {mine: token}
    assert up.task(waiter)["lock"]["blocked_by"] == [mine]
    answer = up.post(f"/runner/tasks/{mine}/status", {"status": "success", "runner_id": "me"})
    assert answer["status"] == "succeeded"
    assert up.towpath("wait", waiter).returncode == 0
    assert all(up.task(task_id)["status"] in ENDED for task_id in (mine, waiter))
    assert up.server.interrupt() == 0


async def test_whoever_starts_the_parts_takes_them_along_when_killed(home: Home) -> None:
    up = home.up()
    root = up.workspace("shop")
    up.create(resisting("src"), workspace="shop")
    await eventually(lambda: (root / "src.log").exists(), DEADLINE)
    os.kill(up.server.process.pid, signal.SIGKILL)
    await eventually(lambda: home.processes() == [], DEADLINE)


def _kill_all(up: Up) -> None:
    """The group at once, and nats-server, which has a session of its own, without its goodbye."""
    command = [str(up.data_dir / "nats-server.conf").encode()]
    servers = [
        pid
        for pid in up.home.processes()
        for words in [_command_line(pid)]
        if words[0].endswith(b"nats-server") and words[-1:] == command
    ]
    assert len(servers) == 1
    os.killpg(up.server.process.pid, signal.SIGKILL)
    os.kill(servers[0], signal.SIGKILL)
    up.server.process.wait(DEADLINE)


def _command_line(pid: int) -> list[bytes]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    return [b""]


async def _ignore(_: Exception) -> None:
    """The connection is meant to break."""
