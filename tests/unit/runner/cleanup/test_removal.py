"""Whatever a job has made goes, by descriptors: nothing is followed, and no depth is too deep."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.cleanup.removal import FLAGS, Emptying, discard


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "top"
    made.mkdir()
    before = Path.cwd()
    yield made
    os.chdir(before)


def empty(top: Path, most_steps: int = 10**9) -> Emptying:
    handle = os.open(top, FLAGS)
    steps = iter(range(most_steps))
    emptying = Emptying(handle, lambda: next(steps, None) is None)
    try:
        emptying.run()
    finally:
        os.close(handle)
    return emptying


def nest(top: Path, levels: int) -> None:
    os.chdir(top)
    for _ in range(levels):
        Path("d").mkdir()
        Path("f").touch()
        os.chdir("d")


def test_a_directory_deeper_than_python_recurses(top: Path) -> None:
    nest(top, 3 * sys.getrecursionlimit())
    assert empty(top).stuck == {}
    assert list(top.iterdir()) == []


def test_closed_directories_and_odd_names(top: Path) -> None:
    (top / "closed" / "inner" / "more").mkdir(parents=True)
    (top / "closed" / "inner" / "file").touch(mode=0o000)
    (top / os.fsdecode(b"new\nline \xff\x1b[31m")).mkdir()
    os.mkfifo(top / "closed" / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(top)
        listening.bind("socket")
    for path in (top / "closed" / "inner" / "more", top / "closed" / "inner", top / "closed"):
        path.chmod(0o000)
    assert empty(top).stuck == {}
    assert list(top.iterdir()) == []


def test_links_lead_nowhere(top: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    (kept / "inner").mkdir(parents=True)
    (kept / "file").write_text("kept")
    (top / "link").symlink_to(kept)
    (top / "deep").mkdir()
    (top / "deep" / "link").symlink_to(kept)
    (top / "deep" / "hard").hardlink_to(kept / "file")
    empty(top)
    assert list(top.iterdir()) == []
    assert sorted(entry.name for entry in kept.iterdir()) == ["file", "inner"]


def test_more_files_than_are_listed_at_once(top: Path) -> None:
    (top / "wide").mkdir()
    for number in range(2500):
        (top / "wide" / str(number)).touch()
        (top / str(number)).mkdir()
    empty(top)
    assert list(top.iterdir()) == []


def test_it_stops_when_it_is_told_to_and_goes_on_later(top: Path) -> None:
    nest(top, 100)
    empty(top, most_steps=20)
    assert list(top.iterdir()) != []
    empty(top)
    assert list(top.iterdir()) == []


def test_what_cannot_be_removed_is_named_and_the_rest_goes(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / "one").mkdir()
    for name in ("a", "held", "z"):
        (top / "one" / name).touch()
    (top / "two").mkdir()
    unlink = os.unlink

    def refuse(name: str, dir_fd: int | None = None) -> None:
        if name == "held":
            raise PermissionError(1, "Operation not permitted")
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    assert empty(top).stuck == {"one": "'one'/'held': Operation not permitted"}
    assert [entry.name for entry in top.rglob("*")] == ["one", "held"]


def test_a_file_is_discarded_and_a_directory_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert discard(tmp_path / "file") is None
    assert discard(tmp_path / "file") is None
    assert "directory" in (discard(tmp_path) or "")
    assert tmp_path.exists()
