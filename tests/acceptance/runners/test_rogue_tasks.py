"""A task that stops its shim: it can be canceled, times out, and leaves its lock to the next, alone."""

from __future__ import annotations

import os
import pwd
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.machines.processes import children_of, command_of
from tests.integration.runner.harness import confinable
from tests.support.towpath import DEADLINE, Home, Up
from tests.support.waiting import eventually

WRITING = "while :; do echo m >> $0.log; sleep 0.1; done"
DEEDS = {
    "stopping": "kill -STOP $PPID; ",
    "stopping again and again": "(setsid sh -c 'while kill -STOP $0; do :; done' $PPID &); ",
}


def rogue(deed: str, name: str) -> list[str]:
    """Ignores SIGTERM, leaves a writer in a session of its own, does its deed, and writes `<name>.log`."""
    detached = f"(env -i PATH=$PATH setsid sh -c \"trap '' TERM; {WRITING}\" $0 &); "
    return ["sh", "-c", f"trap '' TERM; {detached}{DEEDS[deed]}{WRITING}", name]


async def begin(up: Up, deed: str, **spec: object) -> tuple[str, Path]:
    """A rogue task at work; its id and its log."""
    root = up.workspace("shop")
    task_id = up.create(rogue(deed, "rogue"), workspace="shop", **spec)
    log = root / "rogue.log"
    await eventually(lambda: log.exists() or up.ended(task_id), DEADLINE)
    return task_id, log


@pytest.mark.parametrize("deed", DEEDS)
async def test_it_is_canceled_and_leaves_its_lock(home: Home, deed: str) -> None:
    up = home.up()
    task_id, log = await begin(up, deed)
    up.towpath("cancel", task_id)  # 409 where it has ended by its own deed
    task = await eventually(lambda: up.ended(task_id), DEADLINE)
    if deed == "stopping":
        assert task["status"] == "canceled"
    else:  # which may be over before the cancel comes
        assert task["status"] == "canceled" or "stopped again and again" in task["message"]
    size = log.stat().st_size if log.exists() else 0
    await eventually(lambda: up.holders() == {}, DEADLINE)
    following = up.create(["true"], workspace="shop")
    assert up.towpath("wait", following).returncode == 0
    assert (log.stat().st_size if log.exists() else 0) == size
    assert up.server.interrupt() == 0


async def test_it_times_out(home: Home) -> None:
    up = home.up()
    task_id, _ = await begin(up, "stopping", timeout_seconds=1)
    task = await eventually(lambda: up.ended(task_id), DEADLINE)
    assert (task["status"], task["reason"]) == ("failed", "timeout")
    assert up.server.interrupt() == 0


@pytest.mark.parametrize("deed", DEEDS)
async def test_the_end_of_up_ends_it(home: Home, deed: str) -> None:
    up = home.up()
    await begin(up, deed)
    os.kill(up.server.process.pid, signal.SIGTERM)
    assert up.server.process.wait(DEADLINE) == 0
    assert home.processes() == []


async def test_a_killed_runner_leaves_the_next_holder_alone(home: Home) -> None:
    up = home.up()
    task_id, log = await begin(up, "stopping")
    [runner] = [pid for pid in children_of(up.server.process.pid) if children_of(pid) and _has_shim(pid)]
    os.kill(runner, signal.SIGKILL)
    following = up.create(["cp", "rogue.log", "seen.log"], workspace="shop")
    assert up.towpath("wait", following).returncode == 0
    assert (await eventually(lambda: up.ended(task_id), DEADLINE))["reason"] == "runner-lost"
    assert log.read_text() == log.with_name("seen.log").read_text()
    assert up.server.interrupt() == 0


def _has_shim(pid: int) -> bool:
    return any("runner.process.shim" in word for child in children_of(pid) for word in command_of(child))


@pytest.fixture
def open_ground() -> Iterator[Path]:
    """Where another user may work; the test's own directories are closed to them."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o777)
        yield Path(made)


async def test_tasks_run_as_the_user_that_was_named(home: Home, open_ground: Path) -> None:
    name = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    up = home.up("--job-user", name, "--root", open_ground)
    up.told("workspaces", "add", "open", open_ground)
    task_id = up.create(["sh", "-c", "id -un; touch made"], workspace="open")
    task = await eventually(lambda: up.ended(task_id), DEADLINE)
    assert (task["status"], task["output_tail"]) == ("succeeded", f"{name}\n")
    assert (open_ground / "made").owner() == name
    assert up.server.interrupt() == 0


@pytest.mark.parametrize("command", ["up", "runner"])
def test_a_user_who_is_not_there_is_said_at_once(home: Home, command: str) -> None:
    ended = home.run(command, "--job-user", "no-such-user-here")
    assert ended.returncode == 2
    assert "there is no such user on this host" in ended.stderr


async def test_tasks_that_may_signal_their_own_alone_do_not_reach_their_shim(home: Home) -> None:
    """Where the kernel cannot do that, `up` says so and does not start."""
    if not confinable():
        ended = home.run("up", "--job-signals", "own")
        assert (ended.returncode, "Linux 6.12" in ended.stderr) == (2, True)
        return
    up = home.up("--job-signals", "own")
    task_id = up.create(["sh", "-c", "kill -STOP $PPID; kill -KILL $PPID; echo still here"])
    task = await eventually(lambda: up.ended(task_id), DEADLINE)
    assert task["status"] == "succeeded"
    assert task["output_tail"].endswith("still here\n")
    assert up.server.interrupt() == 0


@pytest.mark.parametrize("kind", ["plain", "user", "signals"])
async def test_it_has_no_descriptor_but_its_own_three(home: Home, kind: str) -> None:
    """One more would lead to the processes between it and its runner."""
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    signals = ["--job-signals", "own"] if confinable() else []
    up = home.up(*{"plain": [], "user": ["--job-user", user], "signals": signals}[kind])
    task_id = up.create(["sh", "-c", "ls /proc/$$/fd; true"])
    task = await eventually(lambda: up.ended(task_id), DEADLINE)
    assert task["output_tail"].split() == ["0", "1", "2"]
    assert up.server.interrupt() == 0
