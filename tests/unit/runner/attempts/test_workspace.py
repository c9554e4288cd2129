"""A job works under the configured roots only, and sees only what it is meant to see."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from domain.protocol import Submission
from runner.attempts.workspace import check_workspace, job_environment, within, working_directory
from runner.errors import SubmissionRefused
from runner.process.shim.job_start import JobStartFailed, open_directory


def submission(root: str | None, **changes: object) -> Submission:
    workspace = {"id": "w", "root": root, "lock_paths": [], "lock_mode": "exclusive", "lock_token": 57}
    fields = {
        "task_id": str(uuid7()),
        "attempt": 3,
        "title": "t",
        "command": ["true"],
        "execution_mode": "shared-workspace" if root else "no-workspace",
        "workspace": workspace if root else None,
    }
    return Submission.model_validate({**fields, **changes})


def test_a_root_or_below_it_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    check_workspace(submission(str(tmp_path)), [tmp_path])
    check_workspace(submission(str(tmp_path / "a")), [tmp_path])


@pytest.mark.parametrize("inside", ["../b", "a/../../b", "link"])
def test_ways_out_are_refused_with_the_option_to_add(tmp_path: Path, inside: str) -> None:
    root, other = tmp_path / "root", tmp_path / "b"
    (root / "a").mkdir(parents=True)
    other.mkdir()
    (root / "link").symlink_to(other)
    with pytest.raises(SubmissionRefused, match=f"--root {other}"):
        check_workspace(submission(f"{root}/{inside}"), [root])


@pytest.mark.parametrize("inside", ["second", "second/src"])
def test_a_second_name_of_a_directory_is_refused(tmp_path: Path, inside: str) -> None:
    """Its workspace would have a lock of its own beside that of the first."""
    (tmp_path / "first" / "src").mkdir(parents=True)
    (tmp_path / "second").symlink_to(tmp_path / "first")
    real = str(tmp_path / inside.replace("second", "first"))
    with pytest.raises(SubmissionRefused, match=f"register {real}"):
        check_workspace(submission(str(tmp_path / inside)), [tmp_path])
    check_workspace(submission(real), [tmp_path])


def test_a_job_starts_in_no_other_workspace_however_its_root_is_exchanged(tmp_path: Path) -> None:
    """Where a link takes the root's place behind the check, what is opened is not its workspace."""
    ours, other = tmp_path / "ours", tmp_path / "other"
    other.mkdir()
    ours.symlink_to(other)
    with pytest.raises(JobStartFailed, match="other"):
        open_directory(str(ours), within(submission(str(ours)), tmp_path / "own"))


def test_a_neighbour_with_the_same_beginning_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SubmissionRefused):
        check_workspace(submission(f"{tmp_path}/src2"), [tmp_path / "src"])


@pytest.mark.parametrize("root", ["relative", "/a\0b"])
def test_odd_roots_are_refused(root: str) -> None:
    with pytest.raises(SubmissionRefused):
        check_workspace(submission(root), [Path("/")])


def test_shared_workspace_without_workspace_is_refused() -> None:
    with pytest.raises(SubmissionRefused, match="needs a `workspace`"):
        check_workspace(submission(None, execution_mode="shared-workspace"), [])


def test_a_missing_root_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SubmissionRefused, match="no directory on this host"):
        working_directory(submission(str(tmp_path / "gone")), [tmp_path], tmp_path / "own")


def test_without_a_workspace_the_job_gets_a_directory_of_its_own(tmp_path: Path) -> None:
    assert working_directory(submission(None), [], tmp_path / "w" / "own").is_dir()


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWPATH_RUNNER_TOKEN", "secret")
    monkeypatch.setenv("PATH", "/bin")
    sent = submission("/srv", env={"A": "1", "TOWPATH_ATTEMPT": "99"})
    env = job_environment(sent, "me")
    assert "TOWPATH_RUNNER_TOKEN" not in env
    assert env["PATH"].split(":")[0] == "/bin"
    assert (env["A"], env["TOWPATH_RUNNER_ID"]) == ("1", "me")
    assert env["TOWPATH_TASK_ID"] == sent.task_id
    assert (env["TOWPATH_ATTEMPT"], env["TOWPATH_LOCK_TOKEN"], env["TOWPATH_WORKSPACE"]) == ("3", "57", "w")


def test_a_job_finds_towpath_and_its_own_path_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = job_environment(submission(None), "me")["PATH"]
    assert found.split(":")[0] == str(tmp_path)
    assert shutil.which("towpath", path=found) == str(Path(sys.executable).with_name("towpath"))
    (tmp_path / "towpath").touch(mode=0o755)
    assert job_environment(submission(None), "me")["PATH"] == str(tmp_path)
    assert job_environment(submission(None, env={"PATH": "/own"}), "me")["PATH"] == "/own"


def test_a_task_without_a_lock_brings_no_token_of_its_own() -> None:
    forged = {"TOWPATH_LOCK_TOKEN": "999", "TOWPATH_WORKSPACE": "shop"}
    assert forged.keys().isdisjoint(job_environment(submission(None, env=forged), "me"))
    env = job_environment(submission("/srv", env=forged), "me")
    assert (env["TOWPATH_LOCK_TOKEN"], env["TOWPATH_WORKSPACE"]) == ("57", "w")


def test_a_job_that_may_ask_gets_its_token_and_where_to_ask() -> None:
    sent = submission(None, job_token="job.3.x", api_url="https://api", env={"TOWPATH_JOB_TOKEN": "forged"})
    env = job_environment(sent, "me", api_url="http://mine")
    assert (env["TOWPATH_JOB_TOKEN"], env["TOWPATH_URL"]) == ("job.3.x", "https://api")
    assert "job.3.x" in sent.secret_values
    assert sent.without_secrets().job_token is None
    beside = job_environment(submission(None, job_token="job.3.x"), "me", api_url="http://mine")
    assert beside["TOWPATH_URL"] == "http://mine"
    own = submission(None, job_token="job.3.x", api_url="https://api", env={"TOWPATH_URL": "http://own"})
    assert job_environment(own, "me")["TOWPATH_URL"] == "http://own"


def test_a_submission_of_an_older_control_plane_brings_no_token() -> None:
    forged = submission(None, env={"TOWPATH_JOB_TOKEN": "forged"})
    env = job_environment(forged, "me", api_url="http://mine")
    assert env.keys().isdisjoint({"TOWPATH_JOB_TOKEN", "TOWPATH_URL"})


def test_a_job_sees_its_trace_unless_the_task_names_another() -> None:
    trace, own = f"00-{'a' * 32}-{'b' * 16}-01", f"00-{'c' * 32}-{'d' * 16}-01"
    assert job_environment(submission(None), "r", trace)["TRACEPARENT"] == trace
    assert job_environment(submission(None, env={"TRACEPARENT": own}), "r", trace)["TRACEPARENT"] == own
    assert "TRACEPARENT" not in job_environment(submission(None), "r")
