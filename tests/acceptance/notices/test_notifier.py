"""From nothing to a received webhook, as a user types it; and the notifier as a process of its own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx

from tests.support.http.webhook_receiver import Receiver, receiving
from tests.support.towpath import DEADLINE, Home, Up
from tests.support.waiting import eventually


def configured(home: Home, receiver: Receiver, events: str = '["failed", "asked"]') -> Path:
    """The file that `init` writes, edited for this receiver."""
    path = home.path / "notify.toml"
    done = home.run("notifier", "init", path)
    assert done.returncode == 0, done.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text().replace("https://hooks.example.com/towpath", receiver.url)
    text = text.replace("# allow = [", "allow = [")
    begin, end = text.index("events = ["), text.index("]", text.index("events = [")) + 1
    path.write_text(text[:begin] + f"events = {events}" + text[end:])
    return path


def failed(receiver: Receiver, task_id: str) -> bool:
    return any(
        one.notice["name"] == "failed" and one.event["subject"] == task_id for one in receiver.received
    )


async def test_a_failure_arrives_and_what_each_rule_would_have_sent_is_shown(home: Home) -> None:
    async with receiving() as receiver:
        path = configured(home, receiver)
        up: Up = home.up(TOWPATH_NOTIFY=str(path), API_PUBLIC_BASE_URL="https://towpath.example")
        await eventually(lambda: works(up, path), DEADLINE)
        task_id = up.create(["sh", "-c", "echo first; echo last; exit 3"], title="deploy shop")
        await eventually(lambda: failed(receiver, task_id), DEADLINE)
        (got,) = receiver.received
        assert got.notice["last_lines"] == ["first", "last"]
        assert "exited with code 3" in got.notice["why"]
        assert got.notice["links"]["console"] == f"https://towpath.example/console/tasks/{task_id}"
        tried = up.towpath("notifier", "check", "--output", "json", TOWPATH_NOTIFY=str(path))
        assert tried.returncode == 0, tried.stderr
        rows = {one["event"]: one["told"] for one in json.loads(tried.stdout)}
        assert rows == {"failed": 1, "asked": 0}
        sent = await asyncio.to_thread(up.towpath, "notifier", "test", "ops", TOWPATH_NOTIFY=str(path))
        assert sent.returncode == 0, sent.stderr
        await eventually(lambda: receiver.names() == ["failed", "test"], DEADLINE)
        metrics = httpx.get(f"{up.url}/metrics").text
        assert 'towpath_notices{channel="ops",state="sent"} 1.0' in metrics
        assert 'towpath_notices_lag_seconds{channel="ops"} 0.0' in metrics
        assert up.towpath("doctor", TOWPATH_NOTIFY=str(path)).stdout.count("one works; 1 notice sent") == 1


def works(up: Up, path: Path) -> bool:
    """Whether doctor sees a notifier at work."""
    return "one works" in up.towpath("doctor", TOWPATH_NOTIFY=str(path)).stdout


def test_init_writes_over_nothing(home: Home) -> None:
    path = home.path / "notify.toml"
    assert home.run("notifier", "init", path).returncode == 0
    before = path.read_bytes()
    done = home.run("notifier", "init", path)
    assert done.returncode == 6
    assert "is there already" in done.stderr
    assert path.read_bytes() == before


def test_faults_end_every_command_and_up_before_anything_starts(home: Home) -> None:
    path = home.path / "notify.toml"
    path.write_text('[[channel]]\nname = "ops"\nkind = "slack"\n')
    path.chmod(0o600)
    for command in (("notifier", "check"), ("notifier", "test", "ops"), ("up",)):
        done = home.run(*command, TOWPATH_NOTIFY=str(path))
        assert done.returncode == 2, done.stderr
        assert "channel 1 (`ops`), `kind`: there is no such kind" in done.stderr
        assert "the file, `rule`: there is none" in done.stderr
