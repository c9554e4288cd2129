"""Jobs that run as another user: they are what that user is, and reach what that user may.

Only root can start them. Elsewhere the tests use the user who runs them, as whom anybody may run jobs.
"""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner.errors import RunnerConfigError
from runner.isolation.job_user import find_user, work_directory
from tests.integration.runner.conftest import StartRunner
from tests.integration.runner.harness import (
    DEADLINE,
    HttpControlPlane,
    all_gone,
    all_up,
    new_marker,
    resisting_job,
    submission,
    workspace,
)
from tests.support.waiting import eventually

ROOT = os.geteuid() == 0
NAME = "nobody" if ROOT else pwd.getpwuid(os.geteuid()).pw_name
USER = pwd.getpwnam(NAME)


class Submitter:
    """Submits to one runner whose jobs run as NAME."""

    def __init__(self, control: HttpControlPlane, url: str) -> None:
        self.control, self.url = control, url

    async def submit(self, command: list[str], **changes: Any) -> str:
        body = submission(command, **changes)
        async with httpx.AsyncClient(base_url=self.url) as client:
            answer = await client.post(
                "/tasks/submit", json={**body, **self.control.callback(body["task_id"])}
            )
        assert answer.status_code == 202, answer.text
        return str(body["task_id"])

    async def final(self, script: str, **changes: Any) -> dict[str, Any]:
        return await self.control.final(await self.submit(["sh", "-c", script], **changes))


@pytest.fixture
def ground() -> Iterator[Path]:
    """A directory that every user can walk through; the test's own are closed to others."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.fixture
async def host(control: HttpControlPlane, start_runner: StartRunner, ground: Path) -> Submitter:
    runner = await start_runner(callback_urls=(control.url,), roots=(ground,), job_user=NAME)
    return Submitter(control, runner.intake_url or "")


async def test_it_is_that_user_with_its_groups_and_home(host: Submitter) -> None:
    final = await host.final('id -u; id -g; id -G; echo "$HOME $USER $LOGNAME"')
    uid, gid, groups, names = final["output_tail"].splitlines()
    assert (uid, gid) == (str(USER.pw_uid), str(USER.pw_gid))
    assert set(map(int, groups.split())) == set(os.getgrouplist(NAME, USER.pw_gid))
    assert names == f"{USER.pw_dir} {NAME} {NAME}"


async def test_the_tasks_own_environment_comes_first(host: Submitter) -> None:
    final = await host.final('echo "$HOME"', env={"HOME": "/elsewhere"})
    assert final["output_tail"] == "/elsewhere\n"


async def test_without_a_workspace_it_has_a_directory_of_its_own(host: Submitter) -> None:
    final = await host.final('touch here && cd "$PWD" && ls && pwd')
    name, path = final["output_tail"].splitlines()
    assert name == "here"
    await eventually(lambda: not Path(path).exists(), DEADLINE)


async def test_in_a_workspace_it_may_what_the_user_may(host: Submitter, ground: Path) -> None:
    (ground / "shop").mkdir()
    os.chown(ground / "shop", USER.pw_uid, USER.pw_gid)
    final = await host.final("touch built", **workspace(ground / "shop"))
    assert final["status"] == "succeeded"
    assert (ground / "shop" / "built").stat().st_uid == USER.pw_uid


async def test_a_directory_that_is_closed_to_the_user_is_named(host: Submitter, ground: Path) -> None:
    (ground / "closed").mkdir(mode=0o000)
    final = await host.final("true", **workspace(ground / "closed"))
    assert (final["status"], final["reason"]) == ("failed", "error")
    says = (
        f"cannot start in directory '{ground / 'closed'}' as user {NAME!r}: Permission denied; give that user"
    )
    assert says in final["message"]


async def test_a_directory_below_a_closed_one_is_named(host: Submitter, ground: Path) -> None:
    inner = ground / "closed" / "open"
    inner.mkdir(parents=True)
    (ground / "closed").chmod(0o000 if ROOT else 0o600)
    final = await host.final("true", **workspace(inner))
    (ground / "closed").chmod(0o700)
    assert final["status"] == "failed"


async def test_it_reaches_neither_the_runner_s_state_nor_its_shim(host: Submitter, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    state = tmp_path / "state"
    script = f"ls {state}; cat {state}/*; kill -STOP $PPID; kill -9 $PPID; cat /proc/$PPID/environ"
    final = await host.final(f"({script}) 2>&1; true")
    if ROOT:
        assert final["output_tail"].count("ermission denied") == 3
        assert final["output_tail"].count("not permitted") == 2
        assert final["status"] == "succeeded"
    else:
        assert final["reason"] == "killed"


async def test_a_cancel_ends_all_of_it(host: Submitter) -> None:
    marker = new_marker()
    task_id = await host.submit(resisting_job(marker))
    await all_up(marker)
    async with httpx.AsyncClient(base_url=host.url) as client:
        await client.post(f"/tasks/{task_id}/cancel", json={"attempt": 1})
    assert (await host.control.final(task_id))["status"] == "canceled"
    await all_gone(marker)


@pytest.mark.parametrize("name", ["no-such-user-here", "", "a\0b"])
def test_a_user_who_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(RunnerConfigError, match="no such user on this host"):
        find_user(name)


def test_only_root_may_name_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(RunnerConfigError, match="only a runner that runs as root"):
        find_user("root")


def test_a_place_that_somebody_else_has_made_is_not_used(
    ground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(ground))
    (ground / "towpath-one").symlink_to("/etc")
    with pytest.raises(RunnerConfigError, match="belongs to somebody else"):
        work_directory(find_user(NAME), ground, "one")
