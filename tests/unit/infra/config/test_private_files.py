"""The data directory is its owner's alone, and a directory of somebody's own is left as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.config.private_files import (
    create_private,
    open_to_others,
    private_directory,
    private_tree,
    write_private,
)
from infra.config.secret_key import make_key_file
from infra.config.settings import Settings
from infra.doctor.broker import privacy


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct, autouse=True)
def umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    tmp_path.chmod(0o700)
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_directory(tmp_path: Path) -> None:
    home = tmp_path / "data"
    private_directory(home)
    assert (mode(home), (home / ".gitignore").read_text()) == (0o700, "*\n")
    write_private(home / "secret-key", "x")
    os.close(create_private(home / "nats.lock"))
    assert {mode(one) for one in home.iterdir()} == {0o600}
    assert list(open_to_others(home)) == []
    private_directory(home)


def test_what_an_earlier_version_left_open_is_closed(tmp_path: Path) -> None:
    home = tmp_path / "data"
    private_directory(home)
    for name in ("nats", "nats/jetstream", "runner", "runner/outputs", "runner/work", "runner/work/job"):
        (home / name).mkdir()
        (home / name).chmod(0o755)
    for name in ("nats/jetstream/1.blk", "runner/outputs/x.log", "runner/work/job/tool", "read-model.db-wal"):
        (home / name).touch()
        (home / name).chmod(0o755 if name.endswith("tool") else 0o644)
    (home / "nats" / "link").symlink_to("/etc/passwd")
    home.chmod(0o755)
    assert len(list(open_to_others(home))) == 9
    private_tree(home)
    assert list(open_to_others(home)) == []
    assert mode(home) == 0o700
    assert mode(home / "runner/work/job/tool") == 0o755  # a job's own
    assert mode(Path("/etc/passwd")) & 0o044


def test_a_directory_of_somebodys_own_is_left_alone_but_named(tmp_path: Path) -> None:
    home = tmp_path / "project"
    home.mkdir()
    home.chmod(0o755)
    (home / "main.c").touch()
    (home / "main.c").chmod(0o644)
    (home / "read-model.db").touch()
    (home / "read-model.db").chmod(0o644)
    private_tree(home)
    assert (mode(home), mode(home / "main.c"), (home / ".gitignore").exists()) == (0o755, 0o644, False)
    assert mode(home / "read-model.db") == 0o600
    (finding,) = privacy(Settings(data_dir=home))
    assert (finding.state, str(home) in finding.found) == ("warning", True)
    assert "chmod" in finding.advice


def test_files_that_are_only_named_alike_are_a_projects(tmp_path: Path) -> None:
    home = tmp_path / "project"
    home.mkdir()
    home.chmod(0o755)
    for name in ("runner.py", "nats-notes.txt", "secret_keys.md"):
        (home / name).touch()
        (home / name).chmod(0o644)
    private_tree(home)
    assert {mode(one) for one in home.iterdir()} == {0o644}
    assert (mode(home), (home / ".gitignore").exists()) == (0o755, False)


def test_a_key_can_be_read_by_its_owner(tmp_path: Path) -> None:
    make_key_file(tmp_path / "secret-key")
    assert mode(tmp_path / "secret-key") == 0o600


def test_nothing_to_say(tmp_path: Path) -> None:
    private_directory(tmp_path / "data")
    assert privacy(Settings(data_dir=tmp_path / "data")) == []
    assert privacy(Settings(data_dir=tmp_path / "none")) == []


def test_a_file_in_the_place_of_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(NotADirectoryError, match="must be a directory"):
        private_directory(tmp_path / "data")
