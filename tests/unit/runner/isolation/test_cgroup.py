"""Where a runner may make cgroups is read from /proc; where it may not, there is none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from runner.isolation.cgroup import is_of, own_cgroup, remove, remove_left

MOUNT = "31 23 0:27 {root} {at} rw,nosuid shared:9 - {kind} none rw\n"


def proc(directory: Path, cgroup: str, mountinfo: str) -> Path:
    (directory / "cgroup").write_text(cgroup)
    (directory / "mountinfo").write_text(mountinfo)
    return directory


def mounted(directory: Path, root: str = "/", kind: str = "cgroup2") -> str:
    return MOUNT.format(root=root, at=directory, kind=kind)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A mounted hierarchy with one cgroup in it."""
    made = tmp_path / "tree"
    (made / "session").mkdir(parents=True)
    (made / "session" / "cgroup.procs").touch()
    return made


def test_its_own_directory_is_found_beside_version_1(tmp_path: Path, tree: Path) -> None:
    text = "4:memory:/elsewhere\n0::/session\n"
    mounts = mounted(tmp_path, kind="cgroup") + mounted(tree)
    assert own_cgroup(proc(tmp_path, text, mounts)) == tree / "session"


@pytest.mark.parametrize("cgroup", ["4:memory:/session\n", "0::/gone\n", "0::/../session\n", ""])
def test_without_one_of_version_2_there_is_none(tmp_path: Path, tree: Path, cgroup: str) -> None:
    assert own_cgroup(proc(tmp_path, cgroup, mounted(tree))) is None


@pytest.mark.parametrize("mount", [{"root": "/docker"}, {"kind": "cgroup"}, {"kind": "tmpfs"}])
def test_without_the_whole_hierarchy_there_is_none(tmp_path: Path, tree: Path, mount: dict[str, str]) -> None:
    assert own_cgroup(proc(tmp_path, "0::/session\n", mounted(tree, **mount))) is None


def test_where_proc_is_not_readable_there_is_none(tmp_path: Path) -> None:
    assert own_cgroup(tmp_path / "gone") is None


def test_only_the_cgroup_of_that_very_job_is_taken_from_a_file(tmp_path: Path, tree: Path) -> None:
    seen = proc(tmp_path, "0::/session\n", mounted(tree))
    made = tree / "session" / "towpath-one" / "job.1"
    made.mkdir(parents=True)
    (tree / "towpath-one").symlink_to(made.parent)
    outside = tmp_path / "towpath-one" / "job.1"
    outside.mkdir(parents=True)
    assert is_of(str(made), "towpath-one", "job.1", seen)
    for path in (
        None,
        "",
        "/",
        "\0",
        "towpath-one/job.1",
        str(tree),
        str(made.parent),
        str(made.parent / "job.2"),
        str(tree / "towpath-one" / "job.1"),
        str(tree / "session" / ".." / "session" / "towpath-one" / "job.1"),
        str(outside),
    ):
        assert not is_of(path, "towpath-one", "job.1", seen), path
    assert not is_of(str(made), "towpath-one", "job.2", seen)
    assert not is_of(str(made), "towpath-two", "job.1", seen)


def test_what_a_killed_runner_has_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "nested" / "inner" / "inner").mkdir(parents=True)
    (tmp_path / "full" / "empty").mkdir(parents=True)
    (tmp_path / "full" / "occupied").mkdir()
    (tmp_path / "full" / "occupied" / "one").touch()
    (tmp_path / "link").symlink_to(tmp_path / "full")
    (tmp_path / "cgroup.procs").touch()
    remove_left(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cgroup.procs", "full", "link"]
    assert [entry.name for entry in (tmp_path / "full").iterdir()] == ["occupied"]
    remove_left(tmp_path / "gone")


def test_a_job_may_have_nested_them_deeper_than_python_recurses(tmp_path: Path) -> None:
    before = Path.cwd()
    top = tmp_path / "parent" / "job"
    top.mkdir(parents=True)
    os.chdir(top)
    try:
        for _ in range(2 * sys.getrecursionlimit()):
            Path("d").mkdir()
            os.chdir("d")
    finally:
        os.chdir(before)
    remove(str(top), seconds=60.0)
    assert list(tmp_path.iterdir()) == []
