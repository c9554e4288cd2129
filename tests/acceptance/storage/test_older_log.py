"""After a restore of an older backup: readers learn that the log is another one, and see everything new."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests.support.towpath import DEADLINE, TOWPATH, Home, Up
from tests.support.waiting import eventually


class Watch:
    """`towpath watch` of everything, whose lines are kept."""

    def __init__(self, home: Home, url: str) -> None:
        self._out, self._err = home.path / "watch.out", home.path / "watch.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [str(TOWPATH), "watch", "--after", "0", "-o", "jsonl", "--url", url],
                env=home.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def shown(self) -> list[str]:
        """Ids of the events it has shown."""
        return [
            json.loads(line)["id"]
            for line in self._out.read_text().splitlines(keepends=True)
            if line[-1:] == "\n"
        ]

    async def has(self, events: list[dict[str, Any]]) -> bool:
        """Whether it has shown these, as the last ones and in order."""
        ids = [event["id"] for event in events]
        return await eventually(lambda: self.shown[-len(ids) :] == ids, DEADLINE)

    def stop(self) -> str:
        """End it; its words."""
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(DEADLINE) == 0
        return self._err.read_text()


def _create(up: Up, number: int) -> None:
    for _ in range(number):
        up.create(["true"], dispatch=False)


def _restore(home: Home, old: Path, backup: str, new: str) -> Path:
    directory = home.path / new
    directory.mkdir()
    shutil.copy(old / "secret-key", directory / "secret-key")
    restored = home.run("restore", backup, "--data-dir", directory, "--nats-port", "0")
    assert restored.returncode == 0, restored.stderr
    return directory


def _resumed(up: Up, position: str) -> tuple[int, str]:
    answer = httpx.get(f"{up.url}/events/stream", headers={"Last-Event-ID": position}, timeout=30)
    return answer.status_code, answer.json()["code"]


async def test_watchers_learn_of_an_older_log_and_see_what_is_new(home: Home) -> None:
    up = home.up()
    port = up.url.rpartition(":")[2]
    _create(up, 3)
    watch = Watch(home, up.url)
    taken = home.run("backup", "kept", "--data-dir", up.data_dir, "--nats-port", up.nats_port)
    assert taken.returncode == 0, taken.stderr
    _create(up, 5)
    before = up.events()
    assert await watch.has(before)
    page = httpx.get(f"{up.url}/events", params={"limit": len(before) - 1}, timeout=30).json()
    old = up.data_dir
    assert up.server.interrupt() == 0

    up = home.up("--data-dir", _restore(home, old, "kept", "new"), "--port", port)
    _create(up, 1)
    assert len(up.events()) == 4
    assert await watch.has(up.events()[3:])
    last = before[-1]
    assert _resumed(up, str(last["seq"])) == (404, "beyond-the-log")
    _create(up, 9)
    assert await watch.has(up.events()[3:])
    assert _resumed(up, f"{last['seq']}.{last['id']}") == (404, "other-log")
    stale = httpx.get(f"{up.url}/events", params={"cursor": page["next_cursor"]}, timeout=30)
    assert (stale.status_code, stale.json()["code"]) == (404, "other-log")
    assert len(set(watch.shown)) == len(watch.shown), "nothing was shown twice"
    assert "the log was replaced" in watch.stop()
    assert up.server.interrupt() == 0


async def test_a_read_model_of_the_newer_log_starts_nothing(home: Home) -> None:
    up = home.up()
    _create(up, 2)
    where = ("--data-dir", up.data_dir, "--nats-port", up.nats_port)
    assert home.run("backup", "kept", *where).returncode == 0
    _create(up, 3)
    await eventually(lambda: len(up.get("/tasks")["items"]) == 5, DEADLINE)
    old = up.data_dir
    assert up.server.interrupt() == 0
    new = _restore(home, old, "kept", "new")

    def refused() -> str:
        for path in old.glob("read-model.db*"):
            shutil.copy(path, new / path.name)
        ended = home.run("up", "--port", "0", "--nats-port", "0", "--data-dir", new)
        assert (ended.returncode, ended.stdout) == (1, "")
        (line,) = ended.stderr.splitlines()
        assert "towpath replay --rebuild" in line
        return line

    assert "it ends at 2, but the read model has seen 5" in refused()
    for path in new.glob("read-model.db*"):
        path.unlink()
    up = home.up("--data-dir", new)
    _create(up, 6)
    assert up.server.interrupt() == 0
    for path in new.glob("read-model.db*"):
        path.unlink()
    assert "the read model has applied another event 5" in refused()
