"""What a job leaves behind in its directory never decides whether an attempt ends or a runner starts."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from runner.cleanup.trash import NAME
from runner.isolation.job_user import find_user, work_directory
from runner.service import RunnerService
from tests.integration.runner.conftest import StartRunner
from tests.integration.runner.harness import DEADLINE, HttpControlPlane, submission
from tests.support.waiting import eventually

DEEP = """
import os
for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")
"""
CLOSED = "import os; os.makedirs('a/b'); os.chmod('a/b', 0); os.chmod('a', 0); os.chmod('.', 0)"
ODD = "import os; os.makedirs(b'a\\n\\xff/b'); os.mkfifo(b'\\xfe'); os.symlink('/', 'root')"
AS_LINK = """
import contextlib, os
with contextlib.suppress(PermissionError):  # of another user
    d = os.getcwd()
    os.rename(d, d + "x")
    os.symlink("/etc", d)
"""
NAME_OF_USER = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
JOBS = {"deep": DEEP, "closed": CLOSED, "odd": ODD, "as-link": AS_LINK}


async def run(runner: RunnerService, control: HttpControlPlane, script: str) -> None:
    body = submission([sys.executable, "-I", "-S", "-c", script])
    async with httpx.AsyncClient(base_url=runner.intake_url or "") as client:
        answer = await client.post("/tasks/submit", json={**body, **control.callback(body["task_id"])})
    assert answer.status_code == 202, answer.text
    assert (await control.final(body["task_id"]))["status"] == "succeeded"


def left(work: Path) -> list[str]:
    removed = [*(work / NAME).iterdir()] if (work / NAME).is_dir() else []
    return [entry.name for entry in [*work.iterdir(), *removed] if entry.name != NAME]


@pytest.mark.parametrize("user", [None, NAME_OF_USER])
@pytest.mark.parametrize("kind", JOBS)
async def test_it_goes_and_the_attempt_is_over(
    control: HttpControlPlane, start_runner: StartRunner, tmp_path: Path, kind: str, user: str | None
) -> None:
    runner = await start_runner(callback_urls=(control.url,), job_user=user)
    await run(runner, control, JOBS[kind])
    state = tmp_path / "state"
    work = work_directory(find_user(user) if user else None, state / "work", runner.runner_id)
    beside = 1 if kind == "as-link" and user is None else 0  # its directory: the next start takes it
    assert await eventually(lambda: len(left(work)) == beside, DEADLINE)
    assert await eventually(lambda: list((state / "shims").iterdir()) == [], DEADLINE)
    assert await eventually(lambda: runner.state.held() == [], DEADLINE)
    assert Path("/etc/passwd").exists()


async def test_a_runner_starts_with_what_was_left(
    control: HttpControlPlane, start_runner: StartRunner, tmp_path: Path
) -> None:
    work = tmp_path / "state" / "work"
    work.mkdir(parents=True)
    at = work / "left"
    at.mkdir()
    for _ in range(3):
        at = at / "inner"
        at.mkdir()
    (work / "file").touch()
    (work / NAME).symlink_to("/etc")  # nothing of the runner's
    await start_runner(callback_urls=(control.url,))
    assert await eventually(lambda: not (work / NAME).is_symlink() and left(work) == [], DEADLINE)
    assert Path("/etc/passwd").exists()


async def test_a_fifo_in_the_place_of_removed_things_does_not_matter(
    control: HttpControlPlane, start_runner: StartRunner, tmp_path: Path
) -> None:
    work = tmp_path / "state" / "work"
    work.mkdir(parents=True)
    (work / NAME).mkdir()
    runner = await start_runner(callback_urls=(control.url,))
    with capture_logs() as logs:
        await run(runner, control, "import os; os.rmdir('../.removed'); os.mkfifo('../.removed')")
        assert await eventually(lambda: runner.state.held() == [], DEADLINE)
        assert await eventually(lambda: left(work) == [], DEADLINE)
    assert [entry for entry in logs if entry["log_level"] == "error"] == []
