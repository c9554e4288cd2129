"""Directories of jobs go with their runner; what killed runners left goes, and nothing else does."""

from __future__ import annotations

import time
from pathlib import Path

from runner.cleanup.job_directories import MODE, STALE_SECONDS, hold, let_go, remove_stale
from runner.cleanup.trash import NAME as TRASH

LATER = time.time() + 2 * STALE_SECONDS


def made(parent: Path, name: str, mode: int = MODE) -> Path:
    path = parent / name
    path.mkdir()
    path.chmod(mode)
    return path


def test_what_a_killed_runner_left_empty_is_removed(tmp_path: Path) -> None:
    made(tmp_path, "towpath-runner-0123456789")
    (made(tmp_path, "towpath-runner-1") / TRASH).mkdir(mode=0o700)
    remove_stale(tmp_path, LATER)
    assert not list(tmp_path.iterdir())


def test_what_may_be_somebodys_stays(tmp_path: Path) -> None:
    made(tmp_path, "towpath-copy-x", 0o700)
    made(tmp_path, "other-runner-1")
    made(tmp_path, "towpath-runner-full")
    (tmp_path / "towpath-runner-full" / "job").mkdir()
    (tmp_path / "towpath-runner-link").symlink_to(tmp_path / "other-runner-1")
    before = sorted(tmp_path.iterdir())
    remove_stale(tmp_path, LATER + STALE_SECONDS)
    assert sorted(tmp_path.iterdir()) == before


def test_a_young_one_stays(tmp_path: Path) -> None:
    path = made(tmp_path, "towpath-runner-1")
    remove_stale(tmp_path)
    assert path.is_dir()


def test_a_live_runners_own_stays_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "towpath-runner-1"
    handle = hold(path)
    path.chmod(MODE)
    remove_stale(tmp_path, LATER)
    assert path.is_dir()
    (path / TRASH).mkdir()
    let_go(path, handle)
    assert not path.exists()


def test_what_is_still_in_it_is_left(tmp_path: Path) -> None:
    path = tmp_path / "towpath-runner-1"
    handle = hold(path)
    (path / "job").mkdir()
    let_go(path, handle)
    assert (path / "job").is_dir()
