"""`towpath lock` around commands without a terminal: as without it, alone in its paths, and nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.towpath import DEADLINE, TOWPATH, Home, Up
from tests.support.waiting import eventually

GRANDCHILDREN = "(setsid sleep 300 &); (sh -c 'trap : TERM HUP; setsid sleep 300' &); echo up; sleep 300"
SLEEPING = b"sleep\x00300\x00"
HOLDING = "echo up; exec sleep 300"
STAMPING = "while :; do date +%s.%N > stamp; sleep 0.02; done"


@pytest.fixture(scope="module")
def root(up: Up) -> Path:
    return up.workspace("wrapped")


def ran(
    up: Up, where: Path, *command: str, given: bytes = b"", **env: str
) -> subprocess.CompletedProcess[bytes]:
    """`towpath lock` with these arguments, to its end."""
    return subprocess.run(
        [TOWPATH, "lock", *command],
        cwd=where,
        env={**up.home.env, "TOWPATH_URL": up.url, **env},
        input=given,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )


@contextmanager
def started(up: Up, where: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    """`towpath lock` with these arguments; what a failed test leaves of it is ended by the home."""
    process = subprocess.Popen(
        [TOWPATH, "lock", *command],
        cwd=where,
        env={**up.home.env, "TOWPATH_URL": up.url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def children(pid: int) -> list[int]:
    """Direct children of a process."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def last_heartbeat(up: Up, workspace: str) -> str:
    """Of the runner that holds the only lock of a workspace."""
    [holder] = up.get(f"/workspaces/{workspace}/locks")["holders"]
    [beat] = [one for one in up.get("/runners")["items"] if one["id"] == holder["runner_id"]]
    return str(beat["last_heartbeat"])


def sleepers(where: Path) -> list[int]:
    """Every process that works in the directory, whatever session or parent it has."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == where and (entry / "cmdline").read_bytes() == SLEEPING:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -9 $$", 137),
        ("kill -TERM $$", 143),
        ("kill -INT $$", 130),
    ],
)
def test_the_exit_code_is_the_commands(up: Up, root: Path, script: str, code: int) -> None:
    ended = ran(up, root, "--", "sh", "-c", script)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, b"", b"")


def test_streams_directory_environment_and_open_files_are_the_callers(up: Up, root: Path) -> None:
    (root / "below").mkdir()
    given = bytes(range(256)) * 1000
    ended = ran(up, root / "below", "--", "cat", given=given)
    assert ended.stdout == given
    ended = ran(up, root / "below", "--", "sh", "-c", "pwd; echo $MINE; echo err >&2", MINE="kept")
    assert (ended.stdout, ended.stderr) == (f"{root}/below\nkept\n".encode(), b"err\n")
    piped = f"exec {TOWPATH} lock -- sh -c 'cat <&7' 7<<E\nthrough\nE\n"
    env = {**up.home.env, "TOWPATH_URL": up.url}
    shell = subprocess.run(
        ["sh", "-c", piped], cwd=root, env=env, capture_output=True, text=True, check=False
    )
    assert shell.stdout == "through\n"


def test_closed_standard_streams_lead_nowhere(up: Up, root: Path) -> None:
    env = {**up.home.env, "TOWPATH_URL": up.url}
    closed = f"exec {TOWPATH} lock -- sh -c 'cat; echo lost; exit 4' <&- >&- 2>&-"
    shell = subprocess.run(["sh", "-c", closed], cwd=root, env=env, timeout=DEADLINE, check=False)
    assert shell.returncode == 4


def test_arguments_are_exact_and_the_trail_shows_what_can_be_stored(up: Up, root: Path) -> None:
    odd = os.fsdecode(b"\xff\x01 \x1b[31m \xe2\x82\xac")
    ended = ran(up, root, "--title", "odd", "--", "printf", "%s|", odd, "x" * 100_000)
    assert ended.stdout == os.fsencode(odd) + b"|" + b"x" * 100_000 + b"|"
    [task] = [one for one in up.get("/tasks", workspace="wrapped")["items"] if one["title"] == "odd"]
    assert task["command"][2] == "\ufffd\x01 \x1b[31m €"
    assert len(task["command"][3]) == 2000


def test_it_is_an_ordinary_task_and_its_runner_leaves_without_a_trace(up: Up, root: Path) -> None:
    (root / "src").mkdir()
    show = "echo $TOWPATH_TASK_ID $TOWPATH_ATTEMPT $TOWPATH_RUNNER_ID $TOWPATH_WORKSPACE $TOWPATH_LOCK_TOKEN"
    ended = ran(up, root / "src", "--path", "api", "--label", "team=web", "--", "sh", "-c", show)
    task_id, attempt, runner_id, workspace, token = ended.stdout.decode().split()
    task = up.task(task_id)
    assert (task["status"], task["exit_code"], task["output_tail"]) == ("succeeded", 0, None)
    assert (task["attempt"], task["runner_id"], task["workspace"]) == (int(attempt), runner_id, workspace)
    assert (task["lock"]["token"], task["lock_paths"]) == (int(token), ["src/api"])
    assert (task["command"], task["labels"]) == (["sh", "-c", show], {"team": "web"})
    names = [one["event"] for one in up.get(f"/tasks/{task_id}/events")["items"] if "task" in one["type"]]
    assert names == ["created", "dispatched", "running", "succeeded"]
    assert not [one for one in up.get("/runners")["items"] if "-lock-" in one["id"]]


def test_the_longest_root_wins_and_a_link_is_what_it_leads_to(up: Up, root: Path) -> None:
    other = up.workspace("linked")
    (root / "link").symlink_to(other)
    ended = ran(up, root / "link", "--", "printenv", "TOWPATH_WORKSPACE")
    assert ended.stdout == b"linked\n"
    ended = ran(up, root, "--path", "link/x", "--", "true")
    assert ended.returncode == 2
    assert b"is not in workspace wrapped" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-w", "nowhere", "--", "true"], 5, b"towpath workspaces add nowhere"),
        (["--url", "http://127.0.0.1:9", "--", "true"], 1, b"nothing answers"),
        (["--", "no-such-program"], 127, b"no such program on PATH"),
        (["--", "/etc/passwd"], 126, b"not executable"),
        (["--try", "--wait", "3", "--", "true"], 2, b"--try does not wait"),
        ([], 2, b"give a command"),
    ],
)
def test_what_cannot_be_locked_says_how_and_why(
    up: Up, root: Path, arguments: list[str], code: int, words: bytes
) -> None:
    ended = ran(up, root, *arguments)
    assert (ended.returncode, ended.stdout) == (code, b"")
    assert words in ended.stderr


def test_outside_of_all_workspaces_it_says_how_to_register(up: Up, tmp_path: Path) -> None:
    ended = ran(up, tmp_path, "--", "true")
    assert (ended.returncode, b"towpath workspaces add NAME" in ended.stderr) == (5, True)


async def test_one_works_others_wait_try_give_up_or_share(up: Up, root: Path) -> None:
    with started(
        up, root, "--path", "a/b", "--title", "build", "--", "sh", "-c", "echo up; sleep 300"
    ) as holder:
        assert first_line(holder) == "up\n"
        tried = ran(up, root, "--path", "a", "--try", "--", "true")
        assert (tried.returncode, b"a in wrapped is locked: build on " in tried.stderr) == (6, True)
        late = ran(up, root, "--path", "a", "--wait", "0.5", "--", "true")
        assert (late.returncode, b"not granted within 0.5 s" in late.stderr) == (8, True)
        assert late.stderr.startswith(b"waits for a in wrapped: build on ")
        assert ran(up, root, "--path", "other", "--", "true").returncode == 0
        with started(up, root, "--path", "a", "--", "echo", "got it") as waiter:
            assert waiter.stderr is not None
            line = waiter.stderr.readline()
            assert line.startswith("waits for a in wrapped: build on ")
            assert "(token " in line
            holder.terminate()
            assert (holder.wait(DEADLINE), first_line(waiter)) == (143, "got it\n")
            assert waiter.wait(DEADLINE) == 0
    assert up.get("/workspaces/wrapped/locks")["holders"] == []


def test_readers_share_and_a_writer_is_alone(up: Up, root: Path) -> None:
    sleeping = ("--", "sh", "-c", "echo up; sleep 300")
    with started(up, root, "--shared", "--path", "r", *sleeping) as first:
        assert first_line(first) == "up\n"
        assert ran(up, root, "--shared", "--path", "r", "--try", "--", "true").returncode == 0
        assert ran(up, root, "--path", "r", "--try", "--", "true").returncode == 6
        first.terminate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
async def test_a_signal_ends_the_wait_and_the_claim(up: Up, root: Path, number: signal.Signals) -> None:
    with started(up, root, "--path", "s", "--", "sh", "-c", "echo up; sleep 300") as holder:
        assert first_line(holder) == "up\n"
        with started(up, root, "--path", "s", "--", "true") as waiter:
            assert waiter.stderr is not None
            assert waiter.stderr.readline().startswith("waits for s")
            waiter.send_signal(number)
            assert waiter.wait(DEADLINE) == (-9 if number == signal.SIGKILL else 128 + number)
        await eventually(lambda: up.get("/workspaces/wrapped/locks")["waiters"] == [], DEADLINE)
        holder.terminate()


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
        before = last_heartbeat(up, "wrapped")
        await eventually(lambda: last_heartbeat(up, "wrapped") > before, DEADLINE)
        os.kill(front.pid, signal.SIGCONT)
        (root / "go").write_text("on\n")
        assert (first_line(front), front.wait(DEADLINE)) == ("on\n", 0)


def test_a_lock_that_would_wait_for_itself_is_refused(up: Up, root: Path) -> None:
    ended = ran(up, root, "--path", "x", "--", str(TOWPATH), "lock", "--path", "x/y", "--", "true")
    assert (ended.returncode, b"the lock under which it runs itself" in ended.stderr) == (6, True)


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


def test_a_holders_title_cannot_steer_the_terminal(up: Up, root: Path) -> None:
    evil = "a\x1b]0;b\x07\x9b2J\u202ec"
    with started(up, root, "--path", "evil", "--title", evil, "--", "sh", "-c", HOLDING) as holder:
        assert first_line(holder) == "up\n"
        tried = ran(up, root, "--path", "evil", "--try", "--", "true").stderr.decode()
        assert "a\ufffd]0;b\ufffd\ufffd2J\ufffdc" in tried
        assert not set(evil) & set(tried) & {"\x1b", "\x07", "\x9b", "\u202e"}
        holder.terminate()


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


def test_with_tokens_an_operators_is_enough_and_a_viewers_is_not(home: Home) -> None:
    operator, viewer = "operator-token-0123456789", "viewer-token-0123456789"
    env = {
        "TOWPATH_API_TOKENS": f"operator:{operator},viewer:{viewer}",
        "API_RUNNER_CALLBACK_TOKEN": "runner-token-0123456789",
    }
    up = home.start("up", "--port", "0", "--nats-port", "0", **env)
    url = next(line.split()[1] for line in up.said_until("ready") if line.startswith("API"))
    root = home.path / "shop"
    root.mkdir()
    as_operator = {"TOWPATH_URL": url, "TOWPATH_TOKEN": operator}
    assert home.run("workspaces", "add", "shop", root, **as_operator).returncode == 0
    ended = home.run("lock", "-w", "shop", "--", "echo", "held", **as_operator)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "held\n", "")
    ended = home.run("lock", "-w", "shop", "--", "true", TOWPATH_URL=url, TOWPATH_TOKEN=viewer)
    assert (ended.returncode, "operator" in ended.stderr) == (4, True)
    assert (
        home.run("lock", "-w", "shop", "--", "true", TOWPATH_URL=url, TOWPATH_TOKEN="wrong").returncode == 4
    )
