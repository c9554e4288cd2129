"""Nothing a job starts outlives its attempt: real processes that fork, detach and ignore SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.clock import boottime
from runner.process.job_process import Job, JobEnd, JobProcess
from tests.integration.runner.harness import alive, all_up, new_marker, resisting_job
from tests.support.waiting import eventually


def job(tmp_path: Path, command: list[str], **changes: Any) -> Job:
    fields: dict[str, Any] = {"cwd": tmp_path, "env": {"PATH": os.environ["PATH"]}, "grace": 0.3}
    fields |= {"output_bytes": 1024 * 1024, "tail_bytes": 100}
    fields |= {"output": tmp_path / "output", "lock": tmp_path / "lock", "timeout": None, "lease": None}
    return Job(command=command, **{**fields, **changes})


async def outcome(tmp_path: Path, command: list[str], **changes: Any) -> JobEnd:
    process = await JobProcess.spawn(job(tmp_path, command, **changes))
    await process.started()
    return await process.ended()


@pytest.mark.parametrize("code", [0, 1, 127, 255])
async def test_exit_codes(tmp_path: Path, code: int) -> None:
    ended = await outcome(tmp_path, ["sh", "-c", f"exit {code}"])
    assert (ended.why, ended.exit_code, ended.signal) == ("exit", code, None)


async def test_a_signal_from_outside(tmp_path: Path) -> None:
    ended = await outcome(tmp_path, ["sh", "-c", "kill -9 $$"])
    assert (ended.why, ended.exit_code, ended.signal) == ("exit", None, 9)


async def test_a_timeout_that_is_moved_comes_then(tmp_path: Path) -> None:
    early = await JobProcess.spawn(job(tmp_path, ["sleep", "300"], timeout=300.0))
    assert await early.started()
    early.move_timeout(boottime())
    assert (await early.ended()).why == "timeout"
    script = 'until test -e "$0"; do sleep 0.05; done'
    late = await JobProcess.spawn(job(tmp_path, ["sh", "-c", script, str(tmp_path / "go")], timeout=3.0))
    assert await late.started()
    began = boottime()
    late.move_timeout(began + 300)
    await eventually(lambda: boottime() > began + 4)
    (tmp_path / "go").touch()
    assert (await late.ended()).why == "exit"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["no-such-program-here"], "no such program on PATH"),
        (["echo hi"], "a command runs without a shell, use: sh -c '…'"),
        (["make&&echo"], "a command runs without a shell"),
        (["/no/such/file"], "no such file"),
        (["/etc/passwd"], "Permission denied"),
        (["nul\0byte"], "null byte"),
    ],
)
async def test_what_cannot_be_started(tmp_path: Path, command: list[str], says: str) -> None:
    ended = await outcome(tmp_path, command)
    assert ended.why == "error"
    assert says in (ended.message or "")


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    ended = await outcome(tmp_path, ["true"], cwd=tmp_path / "gone")
    assert f"directory '{tmp_path / 'gone'}'" in (ended.message or "")


async def test_output_of_both_streams_goes_to_the_file(tmp_path: Path) -> None:
    await outcome(tmp_path, ["sh", "-c", "echo one; echo two >&2"])
    assert (tmp_path / "output").read_text() == "one\ntwo\n"
    assert (tmp_path / "output").stat().st_mode & 0o777 == 0o600


async def test_what_goes_beyond_the_limit_is_left_out_of_the_middle(tmp_path: Path) -> None:
    script = "head -c 3000000 /dev/zero | tr '\\0' a; printf the-end"
    ended = await outcome(tmp_path, ["sh", "-c", script], output_bytes=1000)
    raw = (tmp_path / "output").read_bytes()
    head, marker, tail = raw.split(b"\n")
    assert head == b"a" * 1000
    left_out = 3_000_007 - 1000 - 100
    assert marker.startswith(b"[towpath: %d bytes of output are left out here" % left_out)
    assert tail == b"a" * 93 + b"the-end"
    assert (ended.why, ended.exit_code) == ("exit", 0)


@pytest.mark.parametrize("size", [999, 1000, 1001, 1100])
async def test_what_is_hardly_more_than_the_limit_is_whole(tmp_path: Path, size: int) -> None:
    await outcome(tmp_path, ["sh", "-c", f"head -c {size} /dev/zero | tr '\\0' a"], output_bytes=1000)
    assert (tmp_path / "output").read_bytes() == b"a" * size


async def test_a_full_disk_costs_output_not_the_job(tmp_path: Path) -> None:
    script = f"head -c 3000000 /dev/zero; touch {tmp_path / 'done'}"
    ended = await outcome(tmp_path, ["sh", "-c", script], output=Path("/dev/full"))
    assert (ended.why, ended.exit_code) == ("exit", 0)
    assert (tmp_path / "done").exists()


async def test_an_output_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    ended = await outcome(tmp_path, ["true"], output=tmp_path / "gone" / "output")
    assert (ended.why, ended.message) == (
        "error",
        f"cannot keep its output in '{tmp_path / 'gone' / 'output'}': No such file or directory",
    )


async def test_an_output_held_open_elsewhere_is_not_waited_for(tmp_path: Path) -> None:
    """A process that is no descendant got hold of the job's stdout."""
    code = (
        "import os, socket, sys\n"
        "other = socket.socket(socket.AF_UNIX)\n"
        "other.connect(sys.argv[1])\n"
        "socket.send_fds(other, [b'x'], [1])\n"
        "print('said', flush=True)\n"
    )
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "door"))
        listener.listen()
        ending = asyncio.create_task(outcome(tmp_path, [sys.executable, "-c", code, str(tmp_path / "door")]))
        client, _ = await asyncio.to_thread(listener.accept)
        _, (held,), _, _ = await asyncio.to_thread(socket.recv_fds, client, 1, 1)
        assert (await ending).why == "exit"
        client.close()
        os.close(held)
    assert (tmp_path / "output").read_text() == "said\n"


async def test_the_job_starts_with_plain_signals_and_descriptors(tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        "print([signal.getsignal(n) == signal.SIG_DFL for n in (1, 15, 17)], signal.pthread_sigmask(0, []))\n"
        "print([d for d in os.listdir('/proc/self/fd') if int(d) > 3])"
    )
    await outcome(tmp_path, [sys.executable, "-c", code])
    assert (tmp_path / "output").read_text() == "[True, True, True] set()\n[]\n"


@pytest.mark.parametrize("why", ["canceled", "stopped"])
async def test_a_stop_leaves_nothing(tmp_path: Path, why: Any) -> None:
    marker = new_marker()
    process = await JobProcess.spawn(job(tmp_path, resisting_job(marker)))
    await process.started()
    await all_up(marker)
    process.stop(why, 0.3)
    ended = await process.ended()
    assert alive(marker) == []
    assert (ended.why, ended.signal) == (why, signal.SIGKILL)


async def test_a_stop_lets_a_willing_job_end_itself(tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    process = await JobProcess.spawn(job(tmp_path, ["sh", "-c", script], grace=20))
    await process.started()
    await eventually(lambda: "up" in (tmp_path / "output").read_text())
    process.stop("canceled", 20)
    assert (await process.ended()).exit_code == 0
    assert "bye" in (tmp_path / "output").read_text()


async def test_a_timeout_leaves_nothing(tmp_path: Path) -> None:
    marker = new_marker()
    ended = await outcome(tmp_path, resisting_job(marker), timeout=0.5)
    assert alive(marker) == []
    assert ended.why == "timeout"


async def test_what_the_main_process_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    marker = new_marker()
    ended = await outcome(tmp_path, resisting_job(marker, main_seconds=0))
    assert alive(marker) == []
    assert (ended.why, ended.exit_code) == ("exit", 0)


async def test_the_lease_ends_the_job(tmp_path: Path) -> None:
    marker = new_marker()
    ended = await outcome(tmp_path, resisting_job(marker), lease=boottime() + 1.0)
    assert alive(marker) == []
    assert ended.why == "lease"


async def test_renewals_keep_the_job_alive(tmp_path: Path) -> None:
    process = await JobProcess.spawn(job(tmp_path, ["sleep", "1.5"], lease=boottime() + 1.0))
    process.renew(boottime() + 60)
    await process.started()
    assert (await process.ended()).why == "exit"


async def test_no_start_without_a_lease(tmp_path: Path) -> None:
    process = await JobProcess.spawn(job(tmp_path, ["touch", str(tmp_path / "ran")], lease=boottime() - 1))
    assert not await process.started()
    assert (await process.ended()).why == "lease"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["mkfifo output.cut", "ln -s victim output.cut"])
async def test_a_job_cannot_hold_up_or_redirect_the_record_of_what_is_left_out(
    tmp_path: Path, kind: str
) -> None:
    (tmp_path / "victim").write_text("as it was")
    ended = await outcome(tmp_path, ["sh", "-c", f"{kind}; head -c 5000 /dev/zero"], output_bytes=1000)
    assert (ended.why, ended.exit_code) == ("exit", 0)
    assert (tmp_path / "victim").read_text() == "as it was"
    assert (tmp_path / "output.cut").read_text() == "3900"


async def test_a_fifo_in_place_of_the_output_keeps_the_job_from_starting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "output")
    assert (await outcome(tmp_path, ["true"])).why == "error"
