"""Retries with real processes: a runner and a projector are killed, and another host does the work once."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.runners.test_lost_runner import Parts
from tests.support.nats import StartNats
from tests.support.towpath import DEADLINE, Home, Json
from tests.support.waiting import eventually

RETRY = {"max_attempts": 3, "backoff_seconds": 0.5, "on": ["runner-lost", "exit"]}


@pytest.fixture
def parts(home: Home, start_nats: StartNats) -> Parts:
    return Parts(home, start_nats())


def _begun(parts: Parts, task_id: str) -> list[tuple[int, str]]:
    events: list[Json] = parts.get(f"/tasks/{task_id}/events")["items"]
    return [(one["attempt"], one["actor"]) for one in events if one["event"] == "dispatched"]


async def test_the_attempt_after_a_killed_runner_runs_elsewhere_once(parts: Parts) -> None:
    await parts.ready()
    root = parts.workspace("shop")
    first = await parts.runner("host-1", pool="shared")
    script = 'echo "$TOWPATH_RUNNER_ID" >> ran.txt; test "$TOWPATH_ATTEMPT" = 2 || sleep 1000'
    task_id = parts.create(["sh", "-c", script], workspace="shop", pool="shared", retry=RETRY)
    await eventually(lambda: (root / "ran.txt").exists(), DEADLINE)
    await parts.runner("host-2", pool="shared")
    first.kill()
    parts.projectors[0].kill()
    await eventually(lambda: parts.end(task_id) == ("succeeded", None), DEADLINE)
    assert (root / "ran.txt").read_text().split() == ["host-1", "host-2"]
    assert [attempt for attempt, _ in _begun(parts, task_id)] == [1, 2]
    assert _begun(parts, task_id)[-1] == (2, "retry")
    assert parts.task(task_id)["next_attempt_at"] is None
    verified = parts.towpath("verify", "-o", "json", **parts.control)
    assert verified.returncode == 0, verified.stdout + verified.stderr


async def test_run_and_wait_stay_until_the_last_attempt(parts: Parts) -> None:
    await parts.ready()
    await parts.runner("host-1")
    flags = ["--pool", "host-1", "--retry", "2", "--retry-on", "exit", "--retry-backoff", "0.2"]
    script = 'echo "attempt $TOWPATH_ATTEMPT"; test $TOWPATH_ATTEMPT = 2'
    good = parts.towpath("run", *flags, "--", "sh", "-c", script)
    assert (good.returncode, good.stdout) == (0, "attempt 1\nattempt 2\n"), good.stderr
    assert "  attempt 2 of 2" in good.stderr
    bad = parts.towpath("run", "-d", *flags, "--", "false")
    task_id = bad.stdout.strip()
    waited = parts.towpath("wait", task_id, "-o", "json")
    assert (waited.returncode, json.loads(waited.stdout)["attempt"]) == (3, 2)
    why = parts.towpath("why", task_id).stdout
    assert "attempt 2 of 2" in why


async def test_logs_go_on_with_the_next_attempt(parts: Parts) -> None:
    await parts.ready()
    await parts.runner("host-1")
    root = parts.workspace("shop")
    script = (
        'echo "attempt $TOWPATH_ATTEMPT"; until test -e go; do sleep 0.1; done; test $TOWPATH_ATTEMPT = 3'
    )
    retry = {**RETRY, "backoff_seconds": 2}
    task_id = parts.create(["sh", "-c", script], workspace="shop", pool="host-1", retry=retry)
    reader = parts.home.start("logs", "-f", task_id, TOWPATH_URL=parts.url)
    reader.said_until("attempt 1")
    (root / "go").touch()
    assert reader.said_until("attempt 3") == ["attempt 1", "attempt 2", "attempt 3"]
    assert reader.process.wait(DEADLINE) == 0
    said = [line for line in reader.words.splitlines() if line.startswith("attempt")]
    assert [line for line in said if line.endswith(":")] == ["attempt 2:", "attempt 3:"], said
    assert any(line.startswith(("attempt 2 of 3 at ", "attempt 3 of 3 at ")) for line in said), said
    one = parts.towpath("logs", "-f", "--attempt", "2", task_id)
    assert (one.returncode, one.stdout, one.stderr) == (0, "attempt 2\n", "")


async def test_a_cancel_between_two_attempts_ends_the_task(parts: Parts) -> None:
    await parts.ready()
    await parts.runner("host-1")
    task_id = parts.create(["false"], pool="host-1", retry={**RETRY, "backoff_seconds": 3600})
    await eventually(lambda: parts.task(task_id)["status"] == "failed", DEADLINE)
    assert parts.get(f"/tasks/{task_id}/why")["stage"] == "waits-to-retry"
    assert "attempt 2 of 3" in parts.towpath("tasks").stdout
    assert "attempt 2 of 3 at " in parts.towpath("trail", task_id).stderr
    assert parts.towpath("cancel", task_id).returncode == 0
    waited = parts.towpath("wait", task_id, "-o", "json")
    assert waited.returncode == 3
    assert parts.get(f"/tasks/{task_id}/why")["stage"] == "ended"
    assert [attempt for attempt, _ in _begun(parts, task_id)] == [1]
