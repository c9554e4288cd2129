"""What is not true on a shim's pipe or in its lock's file: it harms no process and no file of others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.process.job_process import Job, JobEnd, JobProcess
from runner.process.orphans import Key, nothing_left
from runner.process.shim.protocol import this_boot
from runner.process.tree.process_tree import look_at

RUNNER, KEY = "host-1", Key("0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11", 4)
STARTED = {"event": "started", "pid": 5, "started_at": "2026-01-01T00:00:00+00:00"}
ENDED = {"event": "ended", "why": "exit", "finished_at": "2026-01-01T00:00:00+00:00", "exit_code": 0}

# In the place of the shim's program: says the words of the file that the job's output names, and stays.
_LIAR = """
import json, os, sys, time
order = json.loads(sys.stdin.readline())
with open(f"/proc/{os.getpid()}/stat") as stat:
    start = stat.read().rpartition(")")[2].split()[19]
with open(order["output"], "rb") as words:
    text = words.read().replace(b'"MYSELF"', f'[{os.getpid()}, "{start}"]'.encode())
os.write(1, text)
time.sleep(300)
"""


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that no job has to do with."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """What looks like a cgroup and is none."""
    made = tmp_path / f"towpath-{RUNNER}" / KEY.file_stem
    (made / "inner").mkdir(parents=True)
    (made / "cgroup.kill").touch()
    return made


def unharmed(bystander: subprocess.Popen[bytes], directory: Path) -> bool:
    there = (directory / "inner").is_dir() and (directory / "cgroup.kill").read_bytes() == b""
    return there and bystander.poll() is None


def named(process: subprocess.Popen[bytes]) -> list[Any]:
    seen = look_at(process.pid)
    assert seen is not None
    return [process.pid, seen.started]


def facts(*processes: Any, **changes: Any) -> dict[str, Any]:
    return {"processes": list(processes), "cgroup": None, "boot": this_boot(), **changes}


def guarded(*processes: Any, **changes: Any) -> str:
    return json.dumps({"event": "guarded", **facts(*processes, **changes)}) + "\n"


async def hear(directory: Path, words: str, monkeypatch: pytest.MonkeyPatch) -> tuple[JobEnd, int]:
    """How the runner takes a shim that says `words`, and the pid of that shim."""
    monkeypatch.setattr("runner.process.job_process.SHIM", _LIAR)
    (directory / "output").write_text(words, errors="surrogateescape")
    times: dict[str, Any] = {"timeout": None, "lease": None, "grace": 0.1}
    files: dict[str, Any] = {"cwd": directory, "output": directory / "output", "lock": directory / "lock"}
    job = Job(command=["true"], env={}, output_bytes=1000, tail_bytes=10, **files, **times)
    process = await JobProcess.spawn(job)
    await process.started()
    return await process.ended(), process.pid


@pytest.mark.parametrize(
    "words",
    [
        "rubbish\n",
        "\n",
        "[]\n",
        "null\n",
        "{}\n",
        '{"event": "sung"}\n',
        '{"event": ["tick"]}\n',
        '{"event": "tick", "more": 1}\n',
        '{"event": "started"}\n',
        '{"event": "ended"}\n',
        '{"event": "guarded"}\n',
        "\udcff\udcfe\n",
        "[" * 20_000 + "\n",
        "1" * 10_000 + "\n",
        "x" * 300_000,
        json.dumps({**ENDED, "exit_code": "0"}) + "\n",
        json.dumps({**ENDED, "exit_code": 10**30}) + "\n",
        json.dumps({**ENDED, "why": "because"}) + "\n",
        json.dumps({**ENDED, "finished_at": "yesterday"}) + "\n",
        json.dumps({**ENDED, "finished_at": "2026-01-01T00:00:00"}) + "\n",
        json.dumps(STARTED) + "\n" + json.dumps(STARTED) + "\n",
        json.dumps(STARTED) + "\nrubbish\n",
    ],
    ids=lambda words: repr(words[:40]),
)
async def test_a_shim_that_says_rubbish_is_lost(
    tmp_path: Path, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, pid = await hear(tmp_path, words, monkeypatch)
    assert ended.why == "shim-lost"
    assert (ended.message or "").startswith("its shim said")
    assert look_at(pid) is None


async def test_it_names_its_guard_itself_and_once(
    tmp_path: Path, bystander: subprocess.Popen[bytes], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = named(bystander)
    for words in (
        guarded(other),
        guarded(other, other),
        guarded(),
        guarded("MYSELF", other),
        guarded("MYSELF", "MYSELF", other),
        guarded("MYSELF", cgroup=str(directory)),
        guarded("MYSELF", boot="another"),
        guarded("MYSELF") + guarded("MYSELF"),
        guarded("MYSELF") + guarded(other, cgroup=str(directory)),
        guarded([-1, "0"]),
        guarded([True, "0"]),
    ):
        ended, pid = await hear(tmp_path, words, monkeypatch)
        assert ended.why == "shim-lost", words
        assert "its shim" in (ended.message or ""), words
        assert look_at(pid) is None
        assert unharmed(bystander, directory), words


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    (tmp_path / "shims").mkdir()
    return tmp_path / "shims" / f"{KEY.file_stem}.lock"


def write(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


@pytest.mark.parametrize("kind", ["plain", "open", "link", "two names", "directory", "pipe", "socket link"])
async def test_a_lock_s_file_that_names_others_harms_none_of_them(
    lock: Path, kind: str, bystander: subprocess.Popen[bytes], directory: Path, tmp_path: Path
) -> None:
    text = json.dumps(facts(named(bystander), named(bystander), cgroup=str(directory)))
    target = tmp_path / "target"
    if kind == "directory":
        lock.mkdir()
    elif kind == "pipe":
        os.mkfifo(lock, 0o600)
    elif kind == "socket link":
        lock.symlink_to("/proc/self/fd/0")
    elif kind in {"link", "two names"}:
        write(target, text)
        os.link(target, lock) if kind == "two names" else lock.symlink_to(target)
    else:
        write(lock, text, 0o600 if kind == "plain" else 0o666)
    await nothing_left(lock.parent, KEY, RUNNER)
    assert unharmed(bystander, directory)
    assert kind == "directory" or not os.path.lexists(lock)
    assert not target.exists() or target.read_text() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rubbish",
        "[]",
        "{}",
        '{"processes": 1, "cgroup": [], "boot": {}}',
        "[" * 10_000,
        "\0" * 100,
        "x" * 100_000,
        json.dumps(facts([2**40, "1"])),
        json.dumps(facts([1, "0"])),
        json.dumps(facts([0, "0"])),
        json.dumps(facts([-1, "0"])),
        json.dumps(facts(cgroup="\0")),
        json.dumps(facts(cgroup="")),
        json.dumps(facts(cgroup="/")),
        json.dumps(facts(cgroup="/sys/fs/cgroup")),
    ],
    ids=lambda text: repr(text[:40]),
)
async def test_rubbish_in_a_lock_s_file_is_no_trouble(lock: Path, text: str) -> None:
    write(lock, text)
    await nothing_left(lock.parent, KEY, RUNNER)
    assert not lock.exists()


async def test_a_pid_of_this_boot_that_went_to_another_process_is_left_alone(
    lock: Path, bystander: subprocess.Popen[bytes], directory: Path
) -> None:
    pid, started = named(bystander)
    write(lock, json.dumps(facts([pid, str(int(started) - 1)], [pid, started])))
    await nothing_left(lock.parent, KEY, RUNNER)
    assert unharmed(bystander, directory)


async def test_a_shim_does_not_follow_a_link_in_the_place_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    times: dict[str, Any] = {"timeout": None, "lease": None, "grace": 0.1}
    for files in ({"lock": "link", "output": "output"}, {"lock": "lock", "output": "link"}):
        paths: dict[str, Any] = {name: tmp_path / file for name, file in files.items()}
        job = Job(command=["echo", "x"], cwd=tmp_path, env={}, output_bytes=9, tail_bytes=9, **paths, **times)
        process = await JobProcess.spawn(job)
        assert not await process.started()
        assert (await process.ended()).why in {"error", "shim-lost"}
        assert (tmp_path / "target").read_text() == "kept"
