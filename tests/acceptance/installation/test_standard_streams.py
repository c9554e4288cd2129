"""Services go on whatever becomes of their terminal, their readers and their standard streams."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.jobs import hold, let_go
from tests.support.ports import free_port
from tests.support.towpath import DEADLINE, TOWPATH, Home, Up
from tests.support.waiting import eventually


def _listening(port: int) -> str:
    """The inode of the socket that listens on `port`."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (found,) = [line[9] for line in lines if line[1].endswith(f":{port:04X}") and line[3] == "0A"]
    return f"socket:[{found}]"


def _holding(home: Home, what: str) -> list[int]:
    """Processes of `home` that have `what` open."""
    found = []
    for pid in home.processes():
        try:
            targets = {str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()}
        except OSError:
            continue
        if what in targets:
            found.append(pid)
    return found


def _parts(up: Up) -> list[int]:
    """The forked parts, in the order of their start: API, locks, projector, runner."""
    pid = up.server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [one for one in map(int, children) if Path(f"/proc/{one}/exe").readlink().name != "nats-server"]


async def test_the_api_alone_holds_its_socket(home: Home) -> None:
    up = home.up()
    root = up.workspace("shop")
    job = hold(up, root, "shop", ["src"])
    await eventually(lambda: up.task(job)["status"] == "running", DEADLINE)
    socket_of_api = _listening(int(up.url.rpartition(":")[2]))
    api, locks, projector, runner = _parts(up)
    assert sorted(_holding(home, socket_of_api)) == sorted([up.server.process.pid, api])

    os.kill(api, signal.SIGKILL)  # started again, it listens on the same socket, and holds it alone again
    await _serves(int(up.url.rpartition(":")[2]))
    again = [one for one in _parts(up) if one not in (locks, projector, runner)]
    assert sorted(_holding(home, socket_of_api)) == sorted([up.server.process.pid, *again])

    os.kill(runner, signal.SIGSTOP)  # whatever holds a part up
    os.kill(up.server.process.pid, signal.SIGKILL)
    os.kill(again[0], signal.SIGKILL)
    address = ("127.0.0.1", int(up.url.rpartition(":")[2]))
    await eventually(lambda: _binds(address), DEADLINE)
    assert Path(f"/proc/{runner}").exists()
    os.kill(runner, signal.SIGKILL)
    let_go(root, job)


def _binds(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
        probe.listen()
        return True


def test_a_job_inherits_nothing(up: Up) -> None:
    """Nor does its shim, which has what it opened itself, above its standard streams."""
    show = "for fd in /proc/$0/fd/*; do echo ${fd##*/} $(readlink $fd); done"
    done = up.towpath("run", "--", "sh", "-c", f"sh -c '{show}' $$; echo; sh -c '{show}' $PPID")
    job, shim = (part.splitlines() for part in done.stdout.split("\n\n"))
    assert [line.split()[0] for line in job] == ["0", "1", "2"], done.stdout + done.stderr
    open_in_shim = {number: target for number, target, *_ in map(str.split, shim)}
    pipes = {open_in_shim.pop(number) for number in ("0", "1", "2")}  # to its runner
    others = set(open_in_shim.values()) - pipes
    assert any(one.endswith(".lock") for one in others), shim
    assert not [one for one in others if one.startswith("socket:") or "nats" in one or "sqlite" in one], shim


def test_hang_up_stops_in_order(home: Home) -> None:
    up = home.up()
    os.killpg(up.server.process.pid, signal.SIGHUP)
    assert up.server.process.wait(DEADLINE) == 0
    assert home.processes() == []
    assert "ended with" not in up.server.words


async def test_under_nohup_a_hang_up_is_ignored(home: Home) -> None:
    port, nats = free_port(), free_port()
    with _shell(home, f"trap '' HUP; exec '{TOWPATH}' up --port {port} --nats-port {nats}") as shell:
        await _serves(port)
        os.killpg(shell.pid, signal.SIGHUP)
        assert httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
        assert shell.poll() is None
        os.killpg(shell.pid, signal.SIGTERM)
        assert shell.wait(DEADLINE) == 0


@pytest.mark.parametrize(
    "streams",
    [">/dev/full", ">/dev/full 2>/dev/full", ">&- 2>&- <&-", ">&-", "| true", "2>&1 | grep -m1 NATS"],
)
async def test_no_stream_ends_it(home: Home, streams: str) -> None:
    port, nats = free_port(), free_port()
    inner = f'echo $$ >pid; exec "{TOWPATH}" up --port {port} --nats-port {nats}'
    with _shell(home, f"(sh -c '{inner}'; echo $? >code) {streams}", TOWPATH_LOG_LEVEL="debug") as shell:
        await _serves(port)
        done = home.run("run", "--", "echo", "hi", TOWPATH_URL=f"http://127.0.0.1:{port}")
        assert (done.returncode, done.stdout) == (0, "hi\n"), done.stderr
        os.kill(int((home.path / "pid").read_text()), signal.SIGTERM)
        shell.wait(DEADLINE)
    assert (home.path / "code").read_text() == "0\n"
    assert home.processes() == []


async def test_a_terminal_that_goes_away(home: Home) -> None:
    port, nats = free_port(), free_port()
    ours, theirs = pty.openpty()
    with _shell(home, f"exec '{TOWPATH}' up --port {port} --nats-port {nats}", theirs) as shell:
        os.close(theirs)
        await _serves(port)
        os.close(ours)  # writing fails from now on
        assert home.run("run", "--", "true", TOWPATH_URL=f"http://127.0.0.1:{port}").returncode == 0
        os.kill(shell.pid, signal.SIGTERM)
        assert shell.wait(DEADLINE) == 0


@contextlib.contextmanager
def _shell(
    home: Home, command: str, streams: int = subprocess.DEVNULL, **env: str
) -> Iterator[subprocess.Popen[bytes]]:
    """`command` in a shell and session of its own."""
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=home.path,
        env={**home.env, **env},
        stdin=streams,
        stdout=streams,
        stderr=streams,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def _serves(port: int) -> None:
    """Wait until everything behind `port` is ready."""

    def ready() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
        return False

    await eventually(ready, DEADLINE)
