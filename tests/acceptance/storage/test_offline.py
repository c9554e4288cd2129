"""A data directory whose server is down: it can be looked at, on a copy; a damaged one starts nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.support.towpath import DEADLINE, Home
from tests.support.waiting import eventually

BLOCK = "nats/jetstream/TOWPATH/streams/TOWPATH/msgs/1.blk"


@pytest.fixture
async def stopped(home: Home) -> Path:
    """The data directory of an installation that was stopped while a task held a lock."""
    up = home.up(TOWPATH_SUBMIT_DEADLINE_SECONDS="600")
    up.workspace("shop")
    for _ in range(3):
        done = up.create(["true"], workspace="shop")
        await eventually(lambda done=done: up.ended(done), DEADLINE)
    held = up.create(["true"], workspace="shop", lock_paths=["src"], pool="later")
    await eventually(lambda: held in up.holders(), DEADLINE)
    (home.path / "held").write_text(held)
    assert up.server.interrupt() == 0
    return up.data_dir


def _bytes_of(directory: Path) -> dict[str, str]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def _damage(data_dir: Path) -> None:
    block = data_dir / BLOCK
    content = bytearray(block.read_bytes())
    content[len(content) // 3 + 40] ^= 0x55
    block.write_bytes(content)
    (block.parent / "index.db").unlink()  # as after a crash


def test_verify_and_locks_read_a_copy(home: Home, stopped: Path) -> None:
    held, before = (home.path / "held").read_text(), _bytes_of(stopped)
    made = home.path / "tmp"
    made.mkdir()
    where = {"TMPDIR": str(made), "TOWPATH_URL": "http://127.0.0.1:1"}
    shown = home.run("locks", "shop", "--data-dir", stopped, "-o", "json", **where)
    assert shown.returncode == 0, shown.stderr
    assert "reading a copy of its log" in shown.stderr
    ((entry),) = json.loads(shown.stdout)
    assert [one["task_id"] for one in entry["holders"]] == [held]
    early = home.run("locks", "--data-dir", stopped, "--at", "1", "-o", "json", **where)
    assert (early.returncode, json.loads(early.stdout)) == (0, [])
    beyond = home.run("locks", "--data-dir", stopped, "--at", "9999", **where)
    assert (beyond.returncode, "the log ends at sequence" in beyond.stderr) == (5, True)
    for command in ("verify", "replay", ("checkpoint", "list")):
        words = (command,) if isinstance(command, str) else command
        done = home.run(*words, "--data-dir", stopped, **where)
        assert done.returncode == 0, done.stderr
        assert "nothing there is changed" in done.stderr
    assert _bytes_of(stopped) == before
    assert list(made.iterdir()) == [], "a copy was left"
    assert home.processes() == []


def test_a_damaged_log_starts_nothing_and_can_be_looked_at(home: Home, stopped: Path) -> None:
    _damage(stopped)
    before = _bytes_of(stopped)
    kept = shutil.copytree(stopped, home.path / "kept")
    verified = home.run("verify", "--data-dir", stopped)
    assert (verified.returncode, "first bad sequence" in verified.stdout) == (1, True)
    shown = home.run("locks", "--data-dir", stopped, TOWPATH_URL="http://127.0.0.1:1")
    assert "the log is damaged: event" in shown.stderr
    assert _bytes_of(stopped) == before
    for number in range(2):
        ended = home.run("up", "--port", "0", "--nats-port", "0", "--data-dir", kept)
        assert (ended.returncode, ended.stdout) == (1, ""), number
        (line,) = ended.stderr.splitlines()
        assert line.startswith("towpath: the log is damaged: events ")
        assert "towpath verify" in line
        assert "towpath restore" in line
        assert home.processes() == []
