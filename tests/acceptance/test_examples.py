"""The runners that docs/runners.md shows are real: they are run as they stand there."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.acceptance.jobs import hold, let_go
from tests.support.readme import REPO, blocks
from tests.support.towpath import DEADLINE, Up
from tests.support.waiting import eventually

EXAMPLES = REPO / "docs" / "examples"
WITH_LOCK = EXAMPLES / "with_lock.sh"


@contextlib.contextmanager
def running(up: Up, *command: object, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A program of the examples, ended at the end."""
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=up.home.path,
        env={**up.home.env, "TOWPATH_URL": up.url, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def test_the_shell_runner_waits_for_its_lock_and_passes_the_exit_code_on(up: Up) -> None:
    root = up.workspace("by_hand")
    holder = hold(up, root, "by_hand", ["src"])
    await eventually(lambda: up.task(holder)["status"] == "running", DEADLINE)
    script = f'echo "$TOWPATH_LOCK_TOKEN" > {root}/token; exit 7'
    with running(up, WITH_LOCK, "by_hand", "src/api", "sh", "-c", script) as process:
        waiter = await eventually(lambda: _newest_in(up, "by-hand"), DEADLINE)
        assert up.task(waiter)["lock"]["blocked_by"] == [holder]
        assert not (root / "token").exists()
        let_go(root, holder)
        out, _ = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (7, "")
    task = up.task(waiter)
    assert (task["status"], task["exit_code"]) == ("failed", 7)
    (granted,) = up.events(task_id=waiter, event="granted")
    assert int((root / "token").read_text()) == granted["seq"]
    await eventually(lambda: waiter not in up.holders(), DEADLINE)


async def test_the_shell_runner_reports_its_own_end(up: Up) -> None:
    root = up.workspace("interrupted")
    command = ("sh", "-c", f"touch {root}/started; exec sleep 600")
    with running(up, WITH_LOCK, "interrupted", "src", *command) as process:
        await eventually(lambda: (root / "started").exists(), DEADLINE)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    (task,) = up.get("/tasks", workspace="interrupted")["items"]
    assert up.task(task["id"])["status"] == "canceled"


async def test_the_nats_runner_runs_fails_and_can_be_canceled(up: Up) -> None:
    root = up.workspace("foreign")
    env = {
        "NATS_URL": up.nats_url,
        "NATS_USER": "runner",
        "NATS_PASSWORD": (up.data_dir / "nats-runner-password").read_text(),
    }
    claim = {"pool": "foreign", "workspace": "foreign", "lock_paths": ["src"]}
    with running(up, sys.executable, EXAMPLES / "nats_runner.py", "foreign", "mine-1", **env):
        script = "echo $WHOM $TOWPATH_LOCK_TOKEN; pwd"
        first = up.create(["sh", "-c", script], env={"WHOM": "world"}, **claim)
        second = up.create(["sh", "-c", "exit 5"], **claim)
        third = up.create(["sh", "-c", "trap '' TERM; touch on; while :; do sleep 1; done"], **claim)
        last = up.create(["true"], **claim)
        done = await eventually(lambda: up.ended(first), DEADLINE)
        (granted,) = up.events(task_id=first, event="granted")
        assert (done["status"], done["runner_id"]) == ("succeeded", "mine-1")
        assert done["output_tail"] == f"world {granted['seq']}\n{root}\n"
        failed = await eventually(lambda: up.ended(second), DEADLINE)
        assert (failed["status"], failed["exit_code"]) == ("failed", 5)
        await eventually(lambda: (root / "on").exists(), DEADLINE)
        up.post(f"/tasks/{third}/cancel")
        canceled = await eventually(lambda: up.ended(third), DEADLINE)
        assert canceled["status"] == "canceled"
        assert (await eventually(lambda: up.ended(last), DEADLINE))["status"] == "succeeded"


def test_the_fence_lets_no_older_grant_write(tmp_path: Path) -> None:
    (fence,) = [block.text for block in blocks(REPO / "docs" / "fencing.md") if block.language == "sh"]
    codes = [
        subprocess.run(
            ["sh", "-c", fence],
            cwd=tmp_path,
            env={**os.environ, "TOWPATH_LOCK_TOKEN": token},
            capture_output=True,
            check=False,
        ).returncode
        for token in ("9", "12", "12", "10", "101")
    ]
    assert codes == [0, 0, 0, 1, 0]


def test_the_fenced_store_refuses_older_grants(up: Up, tmp_path: Path) -> None:
    """Two jobs write one after the other; then the first, which nobody could kill, wakes up."""
    up.workspace("fenced")
    store = [sys.executable, str(EXAMPLES / "fenced_store.py"), str(tmp_path / "store.db")]

    def job(value: str) -> int:
        ran = up.towpath("run", "-w", "fenced", "--path", "src", "--", *store, "put", "version", value)
        assert ran.returncode == 0, ran.stderr
        return int(_stored()[1])

    def _stored() -> list[str]:
        return up.home.program(*store, "get", "version").stdout.split()

    first = job("one")
    second = job("two")
    assert second > first
    zombie = {"TOWPATH_WORKSPACE": "fenced", "TOWPATH_LOCK_TOKEN": str(first)}
    late = up.home.program(*store, "put", "version", "three", **zombie)
    assert (late.returncode, _stored()) == (4, ["two", str(second)])
    assert f"token {first} is too old" in late.stderr
    assert (
        up.home.program(*store, "put", "version", "two again", **zombie | {"TOWPATH_LOCK_TOKEN": str(second)})
    ).returncode == 0


def test_the_page_shows_the_statement_of_the_example() -> None:
    (statement,) = [block.text for block in blocks(REPO / "docs" / "fencing.md") if block.language == "sql"]
    assert statement in (EXAMPLES / "fenced_store.py").read_text()


def _newest_in(up: Up, pool: str) -> str | None:
    found = up.get("/tasks", pool=pool, limit=1)["items"]
    return found[0]["id"] if found else None
