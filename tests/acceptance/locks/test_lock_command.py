"""`towpath lock` around commands without a terminal: as without it, alone in its paths, and nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.locks.lock_process import first_line, ran, started
from tests.support.towpath import DEADLINE, TOWPATH, Home, Up
from tests.support.waiting import eventually

HOLDING = "echo up; exec sleep 300"


@pytest.fixture(scope="module")
def root(up: Up) -> Path:
    return up.workspace("wrapped")


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


def beat(up: Up, runner_id: str) -> str:
    """When its last heartbeat came."""
    return str([one["last_heartbeat"] for one in up.get("/runners")["items"] if one["id"] == runner_id])


async def test_signals_that_end_nothing_do_not_end_the_wait_nor_start_the_command(up: Up, root: Path) -> None:
    with started(up, root, "--path", "s", "--", "sh", "-c", "echo up; sleep 300") as holder:
        assert first_line(holder) == "up\n"
        with started(up, root, "--path", "s", "--", "sh", "-c", "touch ran; echo got it") as waiter:
            assert waiter.stderr is not None
            assert waiter.stderr.readline().startswith("waits for s")
            waiter.send_signal(signal.SIGWINCH)
            waiter.send_signal(signal.SIGTSTP)
            stat = Path(f"/proc/{waiter.pid}/stat")
            await eventually(lambda: stat.read_text().rpartition(") ")[2][0] == "T", DEADLINE)
            [old] = up.holders()
            holder.terminate()
            [task_id] = await eventually(lambda: set(up.holders()) - {old}, DEADLINE)
            runner_id = await eventually(lambda: up.task(task_id)["runner_id"], DEADLINE)
            before = beat(up, runner_id)
            await eventually(lambda: beat(up, runner_id) != before, DEADLINE)
            assert (up.task(task_id)["status"], (root / "ran").exists()) == ("running", False)
            waiter.send_signal(signal.SIGCONT)
            assert (first_line(waiter), waiter.wait(DEADLINE)) == ("got it\n", 0)


@pytest.mark.parametrize(
    "name", ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ALRM", "WINCH", "RTMIN", "RTMAX"]
)
def test_a_signal_reaches_the_command(up: Up, root: Path, name: str) -> None:
    script = f"trap 'echo got; exit 9' {name}; echo up; while :; do sleep 0.05; done"
    with started(up, root, "--path", "signals", "--", "bash", "-c", script) as process:
        assert first_line(process) == "up\n"
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert (first_line(process), process.wait(DEADLINE)) == ("got\n", 9)


def test_a_lock_that_would_wait_for_itself_is_refused(up: Up, root: Path) -> None:
    ended = ran(up, root, "--path", "x", "--", str(TOWPATH), "lock", "--path", "x/y", "--", "true")
    assert (ended.returncode, b"the lock under which it runs itself" in ended.stderr) == (6, True)


def test_a_lock_that_would_wait_for_one_further_out_is_refused(up: Up, root: Path) -> None:
    lock = f"{TOWPATH} lock"
    ended = ran(up, root, "--path", "x", "--", "sh", "-c", f"{lock} --path z -- {lock} --path x -- true")
    assert (ended.returncode, b"the lock under which it runs itself" in ended.stderr) == (6, True)
    between = f"{TOWPATH} run --detach -w wrapped --path x --path y -- true"
    ended = ran(up, root, "--path", "x", "--", "sh", "-c", f"{between} && exec {lock} --path y -- true")
    assert (ended.returncode, b"wait, behind others, for the lock" in ended.stderr) == (6, True)


def test_a_task_that_would_wait_for_the_lock_around_its_run_is_canceled(up: Up, root: Path) -> None:
    ended = ran(up, root, "--path", "x", "--", str(TOWPATH), "run", "-w", "wrapped", "--", "true")
    assert (ended.returncode, b"without end" in ended.stderr) == (3, True)
    newest = up.get("/tasks", workspace="wrapped")["items"][0]
    assert (newest["command"], newest["status"]) == (["true"], "canceled")


def test_a_holders_title_cannot_steer_the_terminal(up: Up, root: Path) -> None:
    evil = "a\x1b]0;b\x07\x9b2J\u202ec"
    with started(up, root, "--path", "evil", "--title", evil, "--", "sh", "-c", HOLDING) as holder:
        assert first_line(holder) == "up\n"
        tried = ran(up, root, "--path", "evil", "--try", "--", "true").stderr.decode()
        assert "a\ufffd]0;b\ufffd\ufffd2J\ufffdc" in tried
        assert not set(evil) & set(tried) & {"\x1b", "\x07", "\x9b", "\u202e"}
        holder.terminate()


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
    asks = (TOWPATH, "ask", "Deploy?", "--choice", "yes")
    asking = subprocess.Popen(
        [TOWPATH, "lock", "--url", url, "-w", "shop", "--", *asks],
        env={**home.env, "TOWPATH_TOKEN": operator, "TOWPATH_JOB_TOKEN": "of another task"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with asking:
        assert asking.stderr is not None
        task_id = asking.stderr.readline().split("towpath answer ")[1].split("`")[0]
        assert home.run("answer", task_id, "yes", **as_operator).returncode == 0
        assert (asking.wait(DEADLINE), asking.stdout and asking.stdout.read()) == (0, "yes\n")
    ended = home.run("lock", "-w", "shop", "--", "true", TOWPATH_URL=url, TOWPATH_TOKEN=viewer)
    assert (ended.returncode, "operator" in ended.stderr, ended.stderr.count("\n")) == (4, True, 1)
    assert (
        home.run("lock", "-w", "shop", "--", "true", TOWPATH_URL=url, TOWPATH_TOKEN="wrong").returncode == 4
    )
