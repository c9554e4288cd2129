"""`towpath lock` on a terminal: the command has it as without `lock`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.job_control import CTRL_C, CTRL_D, CTRL_Z, InteractiveShell
from tests.support.towpath import DEADLINE, TOWPATH, Up
from tests.support.waiting import eventually

LOCK = f"{TOWPATH} lock"
READER = f'{sys.executable} -c \'print("<" + input("?" * 2) + ">")\''


@pytest.fixture(scope="module")
def root(up: Up) -> Path:
    return up.workspace("terminal")


@pytest.fixture
def shell(up: Up, root: Path) -> Iterator[InteractiveShell]:
    shell = InteractiveShell(up.home, root, TOWPATH_URL=up.url)
    yield shell
    shell.close()


def ended(shell: InteractiveShell) -> str:
    """The exit code of what has just ended."""
    shell.type("echo code=$?=\r")
    shell.until("code=$?=\n")
    shell.until("code=")
    return shell.until("=")


def runs_in_foreground(shell: InteractiveShell) -> str:
    """The program that leads the terminal's foreground process group."""
    return Path(f"/proc/{shell.foreground()}/comm").read_text().strip()


async def test_ctrl_c_ends_the_command_and_the_lock(shell: InteractiveShell, up: Up) -> None:
    shell.type(f"{LOCK} --path ctrl-c -- sh -c 'echo up; exec sleep 300'\r")
    shell.until("up\n")
    assert len(up.holders()) == 1
    shell.type(CTRL_C)
    shell.until("$ ")
    assert ended(shell) == "130"
    await eventually(lambda: up.holders() == {}, DEADLINE)


def test_a_command_that_takes_ctrl_c_itself_goes_on(shell: InteractiveShell) -> None:
    shell.type(f"{LOCK} -- sh -c 'trap \"echo caught; exit 5\" INT; echo up; while :; do sleep 0.1; done'\r")
    shell.until("up\n")
    shell.type(CTRL_C)
    shell.until("caught\n")
    shell.until("$ ")
    assert ended(shell) == "5"


async def test_ctrl_z_stops_the_job_and_fg_continues_it(shell: InteractiveShell, up: Up) -> None:
    shell.type(f"{LOCK} --path ctrl-z -- {READER}\r")
    shell.until("??")
    shell.type(CTRL_Z)
    assert "Stopped" in shell.until("$ ")
    [task_id] = up.holders()
    runner_id = up.task(task_id)["runner_id"]

    def last_heartbeat() -> str:
        [beat] = [one for one in up.get("/runners")["items"] if one["id"] == runner_id]
        return str(beat["last_heartbeat"])

    before = last_heartbeat()
    await eventually(lambda: last_heartbeat() > before, DEADLINE)
    assert up.holders().keys() == {task_id}, "heartbeats go on while the command is stopped"
    shell.type("fg\r")
    shell.until("fg\n")
    shell.type("after\r")
    shell.until("<after>\n")
    shell.until("$ ")
    assert ended(shell) == "0"
    assert up.task(task_id)["status"] == "succeeded"


def test_the_command_is_the_foreground_and_sees_the_window(shell: InteractiveShell) -> None:
    show = "import os; print(os.tcgetpgrp(0) == os.getpgrp(), os.isatty(0), os.isatty(1), os.isatty(2))"
    shell.resize(33, 77)
    shell.type(f"{LOCK} -- sh -c '{sys.executable} -c \"{show}\"; stty size'\r")
    shell.until("True True True True\n")
    shell.until("33 77\n")


async def test_a_shell_under_the_lock_has_job_control_of_its_own(shell: InteractiveShell, up: Up) -> None:
    # a prompt of its own, which what is typed does not contain: that of the outer shell may still be unread
    shell.type(f"{LOCK} --path inner -- env PS1='inner''> ' bash --norc --noprofile -i\r")
    shell.until("inner> ")
    shell.type("sleep 300\r")
    shell.until("sleep 300\n")
    await eventually(lambda: runs_in_foreground(shell) == "sleep", DEADLINE)
    shell.type(CTRL_Z)
    assert "Stopped" in shell.until("inner> ")
    assert len(up.holders()) == 1, "the inner shell's job was stopped, not the lock's"
    shell.type("kill -9 %1; wait %1; echo inner-$((6*7))\r")
    shell.until("inner-42\n")
    shell.until("inner> ")  # before its prompt, bash would not read an end of input
    shell.type(CTRL_D)
    shell.until("exit\n")
    shell.until("$ ")
    await eventually(lambda: up.holders() == {}, DEADLINE)
    assert shell.foreground() == shell.pid


async def test_the_waiting_line_is_renewed_in_place_and_ctrl_c_ends_the_wait(
    shell: InteractiveShell, up: Up
) -> None:
    shell.type(f"{LOCK} --path line --title first -- sleep 300 &\r")
    shell.until("$ ")
    await eventually(lambda: len(up.holders()) == 1, DEADLINE)
    shell.type(f"{LOCK} --path line/below -- true\r")
    shell.until("waits for line/below in terminal: first on ")
    shell.until("(token ")
    shell.type(CTRL_C)
    shell.until("$ ")
    assert ended(shell) == "130"
    [entry] = up.get("/locks")["items"]
    assert (len(entry["holders"]), entry["waiters"]) == (1, [])
    shell.type("kill %1; wait\r")
    shell.until("wait\n")
    shell.until("$ ")
    await eventually(lambda: up.holders() == {}, DEADLINE)


async def test_ctrl_z_and_fg_go_on_waiting(shell: InteractiveShell, up: Up) -> None:
    shell.type(f"{LOCK} --path queue -- sleep 300 &\r")
    shell.until("$ ")
    await eventually(lambda: len(up.holders()) == 1, DEADLINE)
    shell.type(f"{LOCK} --path queue -- echo got-$((6*7))\r")
    shell.until("waits for queue in terminal: ")
    shell.type(CTRL_Z)
    assert "Stopped" in shell.until("$ ")
    shell.type("kill %1; fg\r")
    shell.until("got-42\n")
    shell.until("$ ")
    assert ended(shell) == "0"
    await eventually(lambda: up.holders() == {}, DEADLINE)
