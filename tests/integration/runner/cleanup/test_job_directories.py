"""A job starts in the directory that was judged, whatever its names lead to meanwhile."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner.attempts.workspace import check_workspace
from runner.config import RunnerConfig
from runner.errors import SubmissionRefused
from runner.process.job_process import Job, JobEnd, JobProcess
from runner.process.shim import job_start
from tests.integration.runner.conftest import StartRunner
from tests.integration.runner.harness import DEADLINE, HttpControlPlane, submission, workspace
from tests.support.waiting import eventually
from tests.unit.runner.attempts.test_workspace import submission as parsed

STARTS = 40
SAY_WHERE = ["sh", "-c", 'pwd -P; echo "$PWD"; echo was here > mark']


class Place:
    """A root with a workspace in it, and a directory outside that holds the same."""

    def __init__(self, base: Path) -> None:
        self.root = base / "root"
        self.inside, self.outside = self.root / "ws", base / "outside"
        self.moved = self.root / "moved"
        for directory in (self.inside, self.outside):
            directory.mkdir(parents=True)

    def exchange(self) -> None:
        """The workspace's name becomes a link that leads outside."""
        self.inside.rename(self.moved)
        self.inside.symlink_to(self.outside)

    def back(self) -> None:
        self.inside.unlink()
        self.moved.rename(self.inside)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path.resolve())


async def run(place: Place, number: int = 0, **changes: Any) -> tuple[JobEnd, str]:
    output = place.root.parent / f"output.{number}"
    fields: dict[str, Any] = {"output_bytes": 1000, "tail_bytes": 10, "timeout": None, "lease": None}
    fields |= {"cwd": place.inside, "within": [str(place.root)], "grace": 0.1, "output": output}
    fields |= {"env": {"PATH": os.environ["PATH"]}, "lock": place.root.parent / f"lock.{number}", **changes}
    process = await JobProcess.spawn(Job(command=SAY_WHERE, **fields))
    await process.started()
    ended = await process.ended()
    return ended, output.read_text() if output.exists() else ""


async def test_it_starts_in_the_directory_and_is_told_so(place: Place) -> None:
    ended, said = await run(place)
    assert (ended.why, ended.exit_code) == ("exit", 0)
    assert said.splitlines() == [str(place.inside)] * 2


async def test_a_link_within_the_roots_is_followed(place: Place) -> None:
    (place.root / "link").symlink_to(place.inside)
    _, said = await run(place, cwd=place.root / "link")
    assert said.splitlines() == [str(place.inside)] * 2


async def test_a_link_that_leads_out_is_refused(place: Place) -> None:
    place.exchange()
    ended, said = await run(place)
    assert (ended.why, said) == ("error", "")
    assert f"leads to '{place.outside}', which is under none of this runner's roots" in (ended.message or "")
    assert not (place.outside / "mark").exists()


async def test_a_neighbour_with_the_same_beginning_is_outside(place: Place) -> None:
    near = place.root.with_name("root2")
    near.mkdir()
    ended, _ = await run(place, cwd=near)
    assert ended.why == "error"


def test_an_exchange_between_check_and_start_changes_nothing(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly there: the names are exchanged after the directory was judged and before the job is forked."""
    fork = os.fork

    def exchange_and_fork() -> int:
        place.exchange()
        return fork()

    monkeypatch.setattr(job_start.os, "fork", exchange_and_fork)
    job = {"command": SAY_WHERE, "cwd": str(place.inside), "within": [str(place.root)]}
    job |= {"env": {"PATH": os.environ["PATH"]}, "user": None, "cgroup": None}
    job["own_signals"] = False
    with (tmp_path / "said").open("wb") as output:
        pid = job_start.start(job, (0, output.fileno(), output.fileno()), None)
    assert os.waitpid(pid, 0)[1] == 0
    assert (tmp_path / "said").read_text().splitlines()[0] == str(place.moved)
    assert (place.moved / "mark").exists()
    assert not (place.outside / "mark").exists()


async def test_a_race_of_exchanges_starts_nothing_outside(place: Place) -> None:
    over = threading.Event()

    def exchange_again_and_again() -> None:
        while not over.is_set():
            place.exchange()
            place.back()

    racing = threading.Thread(target=exchange_again_and_again)
    racing.start()
    try:
        ends = [await run(place, number) for number in range(STARTS)]
    finally:
        over.set()
        racing.join()
    assert {ended.why for ended, _ in ends} <= {"exit", "error"}
    assert not (place.outside / "mark").exists()
    assert not any(str(place.outside) in said for _, said in ends)


async def test_a_removed_directory_is_said_to_be_so(place: Place) -> None:
    handle = os.open(place.inside, os.O_PATH)
    try:
        place.inside.rmdir()
        with pytest.raises(job_start.JobStartFailed, match="it was removed"):
            job_start.open_directory(f"/proc/self/fd/{handle}", None)
    finally:
        os.close(handle)


def test_an_allowed_root_is_what_it_was_when_the_runner_started(place: Place, tmp_path: Path) -> None:
    config = RunnerConfig(state_dir=tmp_path, intake_port=0, roots=(place.inside,))
    check_workspace(parsed(str(place.inside)), config.roots)
    place.exchange()
    with pytest.raises(SubmissionRefused, match="is under none of this runner's roots"):
        check_workspace(parsed(str(place.inside)), config.roots)


async def test_an_exchange_while_it_waits_for_its_turn_is_refused(
    place: Place, control: HttpControlPlane, start_runner: StartRunner
) -> None:
    """Taken in while all was well; the job before it exchanges its root."""
    runner = await start_runner(callback_urls=(control.url,), roots=(place.root,), capacity=1)
    go = place.root / "go"
    first = f"while ! test -e {go}; do sleep 0.05; done; mv {place.inside} {place.moved}; "
    first += f"ln -s {place.outside} {place.inside}"
    where = workspace(place.inside)
    bodies = [submission(["sh", "-c", first]), submission(SAY_WHERE, **where)]
    for body in bodies:
        await post(runner.intake_url or "", {**body, **control.callback(body["task_id"])})
    await eventually(lambda: "running" in control.said(bodies[0]["task_id"]), DEADLINE)
    go.touch()
    final = await control.final(bodies[1]["task_id"])
    assert (final["status"], final["reason"]) == ("failed", "error")
    assert "under none of this runner's roots" in final["message"]
    assert not (place.outside / "mark").exists()


async def post(url: str, body: dict[str, Any]) -> None:
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.post("/tasks/submit", json=body)).status_code == 202
