"""What is locked and recorded for a directory, paths in it, and a command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from infra.lock.endings import Ending
from infra.lock.keeper.specification import lock_path, program, shown_command, workspace_around


def workspace(name: str, root: Path) -> dict[str, Any]:
    return {"id": name, "root": str(root)}


def test_the_longest_root_around_the_directory_wins(tmp_path: Path) -> None:
    found = [
        workspace("outer", tmp_path),
        workspace("inner", tmp_path / "a"),
        workspace("other", tmp_path / "ab"),
    ]
    assert workspace_around(str(tmp_path / "a" / "b"), found)["id"] == "inner"
    assert workspace_around(str(tmp_path / "a"), found)["id"] == "inner"
    assert workspace_around(str(tmp_path / "abc"), found)["id"] == "outer"
    with pytest.raises(Ending, match="towpath workspaces add NAME /elsewhere") as ending:
        workspace_around("/elsewhere", found)
    assert ending.value.code == 5


def test_a_root_that_is_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert workspace_around(str(tmp_path / "real"), [workspace("w", tmp_path / "link")])["id"] == "w"


@pytest.mark.parametrize(
    ("path", "here", "locked"),
    [
        ("api", "src", "src/api"),
        (".", "src", "src"),
        ("..", "src", "."),
        ("../x//y", "src", "x/y"),
        ("link", "", "src"),
    ],
)
def test_paths_are_relative_to_the_root(tmp_path: Path, path: str, here: str, locked: str) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "link").symlink_to("src")
    assert lock_path(path, str(tmp_path / here), workspace("w", tmp_path)) == locked
    assert lock_path(str(tmp_path / here / path), "/", workspace("w", tmp_path)) == locked


@pytest.mark.parametrize("path", ["..", "/etc", "out"])
def test_a_path_outside_is_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(Ending, match="is not in workspace w") as ending:
        lock_path(path, str(root), workspace("w", root))
    assert ending.value.code == 2


def test_the_command_is_shown_as_far_as_it_can_be_stored() -> None:
    odd = os.fsdecode(b"\xff\xe2\x82\xac")
    assert shown_command(["a/" + "n" * 300, odd]) == [("a/" + "n" * 300)[:255], "\ufffd€"]
    shown = shown_command(["x"] * 1000)
    assert (len(shown), shown[-1]) == (201, "… and 800 more")
    assert shown_command(["x", "y" * 5000])[1] == "y" * 1999 + "…"


@pytest.mark.parametrize(
    ("name", "code"),
    [("no-such-program", 127), ("/no/such", 127), ("/etc/passwd", 126), ("", 127), ("/etc", 127)],
)
def test_what_cannot_be_started_is_said_before_anything_is_claimed(name: str, code: int) -> None:
    with pytest.raises(Ending) as ending:
        program(name)
    assert ending.value.code == code


def test_a_program_is_found_on_the_path() -> None:
    assert program("sh").endswith("/sh")
