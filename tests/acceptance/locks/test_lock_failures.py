"""`towpath lock` in trouble: kills, outages, operators who take the lock. Nothing outlives it."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.locks.lock_process import GRANDCHILDREN, children, first_line, ran, sleepers, started
from tests.support.towpath import DEADLINE, Home, Up
from tests.support.waiting import eventually

STAMPING = "while :; do date +%s.%N > stamp; sleep 0.02; done"


@pytest.fixture(scope="module")
def root(up: Up) -> Path:
    return up.workspace("failing")


def last_heartbeat(up: Up, workspace: str) -> str:
    """Of the runner that holds the only lock of a workspace."""
    [holder] = up.get(f"/workspaces/{workspace}/locks")["holders"]
    [beat] = [one for one in up.get("/runners")["items"] if one["id"] == holder["runner_id"]]
    return str(beat["last_heartbeat"])


@pytest.mark.parametrize(
    "victims", [["front"], ["keeper"], ["guard"], ["shim"], ["guard", "shim"], ["keeper", "guard", "shim"]]
)
async def test_whatever_is_killed_nothing_outlives_it(up: Up, root: Path, victims: list[str]) -> None:
    inside = root / f"kill-{'-'.join(victims)}"
    inside.mkdir()
    with started(up, inside, "--path", ".", "--", "sh", "-c", GRANDCHILDREN) as front:
        assert first_line(front) == "up\n"
        await eventually(lambda: len(sleepers(inside)) == 3, DEADLINE)
        [keeper] = children(front.pid)
        [guard] = children(keeper)
        [shim] = children(guard)
        pids = {"front": front.pid, "keeper": keeper, "guard": guard, "shim": shim}
        for name in victims:
            os.kill(pids[name], signal.SIGKILL)
        await eventually(lambda: sleepers(inside) == [], DEADLINE)
        code = front.wait(DEADLINE)
        assert code == {"front": -9, "keeper": 9}.get(victims[0], 137)
    taken = ran(up, inside, "--path", ".", "--wait", "60", "--", "true")
    assert taken.returncode == 0


def test_a_sigterm_for_all_of_it_lets_the_command_end_in_order(up: Up, root: Path) -> None:
    """As service managers send it, to every process at once."""
    script = "trap 'echo in order; exit 3' TERM; echo up; while :; do sleep 0.1; done"
    with started(up, root, "--path", "service", "--", "sh", "-c", script) as front:
        assert first_line(front) == "up\n"
        [keeper] = children(front.pid)
        [guard] = children(keeper)
        [shim] = children(guard)
        [command] = children(shim)
        for pid in (front.pid, keeper, guard, shim, command):
            os.kill(pid, signal.SIGTERM)
        assert (first_line(front), front.wait(DEADLINE)) == ("in order\n", 3)


async def test_a_stopped_front_loses_nothing(up: Up, root: Path) -> None:
    with started(up, root, "--path", "stopped", "--", "sh", "-c", "echo up; read x < go; echo $x") as front:
        os.mkfifo(root / "go")
        assert first_line(front) == "up\n"
        os.kill(front.pid, signal.SIGSTOP)
        before = last_heartbeat(up, "failing")
        await eventually(lambda: last_heartbeat(up, "failing") > before, DEADLINE)
        os.kill(front.pid, signal.SIGCONT)
        (root / "go").write_text("on\n")
        assert (first_line(front), front.wait(DEADLINE)) == ("on\n", 0)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def command_of(front: int) -> tuple[int, int]:
    """Keeper and command, which have said `up`."""
    [keeper] = children(front)
    [guard] = children(keeper)
    [shim] = children(guard)
    [command] = children(shim)
    return keeper, command


async def test_a_command_that_is_stopped_and_continued_at_once_is_not_left_stopped(
    up: Up, root: Path
) -> None:
    """The keeper hears of both together, so its front is about to stop only when it is continued."""
    script = "echo up; until test -e ../go-on; do sleep 0.02; done; exit 3"
    inside = root / "both"
    inside.mkdir()
    with started(up, inside, "--path", ".", "--", "sh", "-c", script) as front:
        assert first_line(front) == "up\n"
        keeper, command = command_of(front.pid)
        for _ in range(20):
            os.kill(keeper, signal.SIGSTOP)
            await eventually(lambda: state_of(keeper) == "T", DEADLINE)
            os.kill(command, signal.SIGSTOP)
            await eventually(lambda: state_of(command) == "T", DEADLINE)
            os.kill(command, signal.SIGCONT)
            await eventually(lambda: state_of(command) != "T", DEADLINE)
            os.kill(keeper, signal.SIGCONT)
        (root / "go-on").touch()
        assert front.wait(DEADLINE) == 3


async def test_a_command_that_is_killed_while_it_is_stopped_ends(up: Up, root: Path) -> None:
    with started(up, root, "--path", "stopped-killed", "--", "sh", "-c", "echo up; exec sleep 300") as front:
        assert first_line(front) == "up\n"
        _, command = command_of(front.pid)
        os.kill(command, signal.SIGSTOP)
        await eventually(lambda: state_of(front.pid) == "T", DEADLINE)
        os.kill(command, signal.SIGKILL)
        assert front.wait(DEADLINE) == 137


async def test_an_operator_cancels_or_releases(home: Home) -> None:
    up = home.up(TOWPATH_LEASE_SECONDS="300")  # heartbeats are too rare to bring it: the events do
    root = up.workspace("shop")
    with started(up, root, "--", "sh", "-c", GRANDCHILDREN) as front:
        assert first_line(front) == "up\n"
        [task_id] = up.holders()
        assert up.towpath("cancel", task_id).returncode == 0
        assert front.wait(DEADLINE) == 143
        assert front.stderr is not None
        assert "canceled by an operator" in front.stderr.read()
    assert (up.task(task_id)["status"], sleepers(root)) == ("canceled", [])
    with started(up, root, "--", "sh", "-c", GRANDCHILDREN) as front:
        assert first_line(front) == "up\n"
        [task_id] = up.holders()
        up.post(f"/tasks/{task_id}/locks/release", {"reason": "stuck"})
        assert front.wait(DEADLINE) == 9
        assert front.stderr is not None
        assert "released by hand" in front.stderr.read()
    assert sleepers(root) == []


async def test_a_command_that_cannot_be_signaled_keeps_the_lock_until_it_ends(up: Up, root: Path) -> None:
    """Without CAP_KILL, root may not signal what has become another user; others have nothing to lose."""
    inside = root / "refusing"
    inside.mkdir()
    is_root = os.geteuid() == 0
    under = ["setpriv", "--bounding-set=-kill"] if is_root else []
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if is_root else []
    command = ("--path", ".", "--", *other, "sh", "-c", "echo up; exec sleep 300")
    with started(up, inside, *command, under=under) as front:
        assert first_line(front) == "up\n"
        [task_id] = [one for one in up.holders() if up.task(one)["lock_paths"] == ["refusing"]]
        assert up.towpath("cancel", task_id).returncode == 0
        assert front.stderr is not None
        if is_root:
            said = front.stderr.readline()
            assert "cannot be signaled by user 0: it goes on, and its end is waited for" in said
            assert task_id in up.holders()
            [command_pid] = sleepers(inside)
            os.kill(command_pid, signal.SIGKILL)
        assert front.wait(DEADLINE) == (137 if is_root else 143)
        assert ("it went on until it ended by itself" in front.stderr.read()) == is_root
    task = up.task(task_id)
    assert (task["status"], "it went on until" in task["message"]) == ("canceled", is_root)


def test_an_end_is_reported_though_standard_error_is_full(up: Up, root: Path) -> None:
    """The pipe has no reader: the message is lost, the lock is not."""
    with started(up, root, "--path", "full", "--", "sh", "-c", "echo up; exec yes >&2") as front:
        assert first_line(front) == "up\n"
        [task_id] = up.holders()
        assert up.towpath("cancel", task_id).returncode == 0
        assert front.wait(DEADLINE) == 143
        assert up.task(task_id)["status"] == "canceled"
        assert front.stderr is not None
        front.stderr.close()


def all_of(server: Any) -> list[int]:
    """The processes of a `towpath up`."""
    found, left = [], [server.process.pid]
    while left:
        pid = left.pop()
        found.append(pid)
        left += children(pid)
    return found


async def test_a_long_outage_ends_the_command_before_anybody_else_gets_the_lock(home: Home) -> None:
    up = home.up(TOWPATH_LEASE_SECONDS="3")
    root = up.workspace("shop")
    trapping = f"trap 'echo term' TERM; {STAMPING}"
    with ExitStack() as both:
        command = ("sh", "-c", f"echo up; {trapping}")
        victim = both.enter_context(started(up, root, "--title", "victim", "--", *command))
        assert first_line(victim) == "up\n"
        heir = both.enter_context(started(up, root, "--", "sh", "-c", "cat stamp; date +%s.%N"))
        assert heir.stderr is not None
        assert heir.stderr.readline().startswith("waits for all of shop: victim")
        control_plane = all_of(up.server)
        for pid in control_plane:
            os.kill(pid, signal.SIGSTOP)
        assert victim.wait(DEADLINE) == 9
        assert victim.stdout is not None
        assert victim.stderr is not None
        assert victim.stdout.read() == "term\n", "SIGTERM came first"
        assert "the lock was lost" in victim.stderr.read()
        for pid in control_plane:
            os.kill(pid, signal.SIGCONT)
        assert heir.stdout is not None
        stamped, began = map(float, heir.stdout.read().split())
        assert (heir.wait(DEADLINE), stamped < began) == (0, True)
    [lost] = [one for one in up.get("/tasks")["items"] if one["title"] == "victim"]
    assert (lost["status"], lost["reason"]) == ("failed", "runner-lost")


async def test_a_short_outage_is_ridden_out(home: Home) -> None:
    up = home.up(TOWPATH_LEASE_SECONDS="15")
    root = up.workspace("shop")
    with started(up, root, "--", "sh", "-c", "echo up; read x < go; echo $x") as front:
        os.mkfifo(root / "go")
        assert first_line(front) == "up\n"
        [task_id] = up.holders()
        control_plane = all_of(up.server)
        for pid in control_plane:
            os.kill(pid, signal.SIGSTOP)
        (root / "go").write_text("on\n")
        assert first_line(front) == "on\n"
        for pid in control_plane:
            os.kill(pid, signal.SIGCONT)
        assert front.wait(DEADLINE) == 0
    assert up.task(task_id)["status"] == "succeeded"
