"""The runners that docs/runners.md shows are real: they are run as they stand there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.acceptance.jobs import hold, let_go, resisting
from tests.support.documents.examples import (
    EXAMPLES,
    PAUSING,
    ended_after_its_pause,
    resisting_left,
    running,
    seen,
)
from tests.support.documents.readme import blocks
from tests.support.repository import REPO
from tests.support.servers.nats_proxy import DROP, PASS, NatsProxy
from tests.support.towpath import DEADLINE, Home, Up
from tests.support.waiting import eventually

WITH_LOCK = EXAMPLES / "with_lock.sh"
NATS_RUNNER = EXAMPLES / "nats_runner.py"


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


def test_the_shell_runner_takes_long_odd_commands_and_hands_on_its_input(up: Up) -> None:
    up.workspace("odd")
    env = {**up.home.env, "TOWPATH_URL": up.url}
    script = 'cat; printf %s "$1" | wc -c'
    command = ["sh", str(WITH_LOCK), "odd", "src", "sh", "-c", script, "sh", "\x01\x1b" + "x" * 100_000]
    done = subprocess.run(
        command, env=env, input=b"given\n", capture_output=True, timeout=DEADLINE, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, [b"given", b"100002"])
    (task,) = up.get("/tasks", workspace="odd")["items"]
    assert task["command"] == ["sh", "-c", script, "sh", "\x01\x1b" + "x" * 998]


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


def nats_env(up: Up, url: str | None = None) -> dict[str, str]:
    password = (up.data_dir / "nats-runner-password").read_text()
    return {"NATS_URL": url or up.nats_url, "NATS_USER": "runner", "NATS_PASSWORD": password}


async def test_the_nats_runner_runs_fails_and_can_be_canceled(up: Up) -> None:
    root = up.workspace("foreign")
    claim = {"pool": "foreign", "workspace": "foreign", "lock_paths": ["src"]}
    with running(up, sys.executable, NATS_RUNNER, "foreign", "mine-1", **nats_env(up)):
        script = "echo $TOWPATH_LOCK_TOKEN $SECRET; pwd"
        first = up.create(["sh", "-c", script], secrets={"SECRET": "s3cret"}, **claim)
        second = up.create(["sh", "-c", "exit 5"], **claim)
        absent = up.create(["no-such-program"], **claim)
        slow = up.create(["sleep", "600"], timeout_seconds=0.5, **claim)
        third = up.create(resisting("third"), **claim)
        last = up.create(["sh", "-c", "wc -c < third.log"], **claim)
        done = await eventually(lambda: up.ended(first), DEADLINE)
        (granted,) = up.events(task_id=first, event="granted")
        assert (done["status"], done["runner_id"]) == ("succeeded", "mine-1")
        assert done["output_tail"] == f"{granted['seq']} ***\n{root}\n"
        failed = await eventually(lambda: up.ended(second), DEADLINE)
        assert (failed["status"], failed["exit_code"]) == ("failed", 5)
        assert (await eventually(lambda: up.ended(absent), DEADLINE))["reason"] == "error"
        assert (await eventually(lambda: up.ended(slow), DEADLINE))["reason"] == "timeout"
        await eventually(lambda: (root / "third.log").exists(), DEADLINE)
        held = {"task_id": third, "attempt": 1}
        shown = await eventually(
            lambda: held in seen(up, "mine-1")["running_attempts"] and seen(up, "mine-1")
        )
        assert (shown["state"], shown["pools"], shown["capacity"]) == ("alive", ["foreign"], 1)
        up.post(f"/tasks/{third}/cancel")
        canceled = await eventually(lambda: up.ended(third), DEADLINE)
        assert canceled["status"] == "canceled"
        ended = await eventually(lambda: up.ended(last), DEADLINE)
        assert int(ended["output_tail"]) == (root / "third.log").stat().st_size
        await eventually(lambda: seen(up, "mine-1")["running_attempts"] == [], DEADLINE)


async def test_the_timeout_of_the_nats_runner_stands_still_while_the_job_asks(up: Up) -> None:
    with running(up, sys.executable, NATS_RUNNER, "asking", "asking-1", **nats_env(up)):
        done = await ended_after_its_pause(up, up.create(["sleep", "600"], pool="asking", **PAUSING))
    assert (done["status"], done["reason"]) == ("failed", "timeout")


async def test_the_nats_runner_says_again_what_was_not_acknowledged(up: Up) -> None:
    root = up.workspace("lossy")
    lost = dict.fromkeys(("queued", "running", "succeeded"), 1)
    async with NatsProxy(f"nats://runner:x@127.0.0.1:{up.nats_port}") as proxy:
        proxy.rule = lambda frame: DROP if _is_next(frame, proxy, lost) else PASS
        url = f"nats://127.0.0.1:{proxy.url.rpartition(':')[2]}"
        with running(up, sys.executable, NATS_RUNNER, "lossy", "lossy-1", **nats_env(up, url)):
            claim = {"pool": "lossy", "workspace": "lossy", "lock_paths": ["src"]}
            task = up.create(["sh", "-c", "echo once >> ran"], **claim)
            done = await eventually(lambda: up.ended(task), DEADLINE)
            await eventually(lambda: lost == dict.fromkeys(lost, 0), DEADLINE)
    assert done["status"] == "succeeded"
    assert (root / "ran").read_text() == "once\n"
    events = [one["event"] for one in up.events(task_id=task)]
    assert (events.count("running"), events.count("succeeded")) == (1, 1)


async def test_the_nats_runner_kills_what_it_runs_when_its_lease_runs_out(home: Home) -> None:
    lease = {"TOWPATH_LEASE_SECONDS": "4"}
    up = home.up(**lease)
    root = up.workspace("cut")
    async with NatsProxy(f"nats://runner:x@127.0.0.1:{up.nats_port}") as proxy:
        url = f"nats://127.0.0.1:{proxy.url.rpartition(':')[2]}"
        with running(up, sys.executable, NATS_RUNNER, "cut", "cut-1", **nats_env(up, url), **lease):
            task = up.create(resisting("it"), pool="cut", workspace="cut", lock_paths=["src"])
            await eventually(lambda: (root / "it.log").exists(), DEADLINE)
            proxy.rule = lambda _: DROP
            await eventually(lambda: resisting_left(home) == [], DEADLINE)
            assert up.holders().keys() == {task}, "its lock went to others while it was writing"
            proxy.rule = lambda _: PASS
            proxy.cut()
            done = await eventually(lambda: up.ended(task), DEADLINE)
    assert (done["status"], done["reason"]) == ("failed", "runner-lost")
    assert up.server.interrupt() == 0


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


def _is_next(frame: bytes, proxy: NatsProxy, lost: dict[str, int]) -> bool:
    """Whether a frame acknowledges the report whose acknowledgement is to be lost next."""
    if b'"stream":"TOWPATH_REPORT"' not in frame or b'"seq":' not in frame or not any(lost.values()):
        return False
    said = [one for one in proxy.published if b"towpath.report." in one][-1]
    found = [status for status in lost if f'"status": "{status}"'.encode() in said and lost[status]]
    for status in found:
        lost[status] -= 1
    return bool(found)


def _newest_in(up: Up, pool: str) -> str | None:
    found = up.get("/tasks", pool=pool, limit=1)["items"]
    return found[0]["id"] if found else None
