"""What a power cut leaves: held against a model that keeps whole copies, for any order of operations."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chaos.machines.volatile_files import VolatileFiles

NAMES = ("/a", "/b", "/c")
SIZES = st.integers(0, 40)


class Disk:
    """A file system without FUSE before it. `cut` shows what is left: bytes by path."""

    def __init__(self, directory: Path) -> None:
        self._live = directory / "live"
        self._live.mkdir()
        self.files = VolatileFiles(self._live, directory / "synced")

    def cut(self) -> dict[str, bytes]:
        self.files.destroy("/")
        return {
            f"/{path.relative_to(self._live)}": path.read_bytes()
            for path in self._live.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_synced_bytes_stay_and_others_go(disk: Disk) -> None:
    handle = disk.files.create("/a", 0o600)
    disk.files.write("/a", b"kept", 0, handle)
    disk.files.fsync("/a", 0, handle)
    disk.files.write("/a", b"LOST and lost", 0, handle)
    assert disk.cut() == {"/a": b"kept"}


def test_a_file_that_was_never_synced_is_empty_once_its_name_is_kept(disk: Disk) -> None:
    handle = disk.files.create("/new", 0o600)
    disk.files.write("/new", b"draft", 0, handle)
    disk.files.rename("/new", "/a")
    disk.files.fsyncdir("/", 0, 0)
    assert disk.cut() == {"/a": b""}


def test_a_name_without_any_fsync_after_it_is_gone(disk: Disk) -> None:
    handle = disk.files.create("/a", 0o600)
    disk.files.write("/a", b"1", 0, handle)
    assert disk.cut() == {}


@pytest.mark.parametrize("flag", [os.O_SYNC, os.O_DSYNC])
def test_what_is_written_through_stays(disk: Disk, flag: int) -> None:
    disk.files.release("/a", disk.files.create("/a", 0o600))
    handle = disk.files.open("/a", os.O_RDWR | flag)
    disk.files.write("/a", b"through", 0, handle)
    assert disk.cut() == {"/a": b"through"}


def test_what_was_cut_and_grew_again_has_no_old_bytes(disk: Disk) -> None:
    handle = disk.files.create("/a", 0o600)
    disk.files.write("/a", b"secret", 0, handle)
    disk.files.fsync("/a", 0, handle)
    disk.files.truncate("/a", 0)
    disk.files.truncate("/a", 6)
    disk.files.fsync("/a", 0, handle)
    assert disk.cut() == {"/a": bytes(6)}


def test_directories_links_and_modes_come_back(disk: Disk, tmp_path: Path) -> None:
    disk.files.mkdir("/d", 0o750)
    handle = disk.files.create("/d/a", 0o600)
    disk.files.write("/d/a", b"1", 0, handle)
    disk.files.link("/d/b", "/d/a")
    disk.files.symlink("/l", "d/a")
    disk.files.chmod("/d/a", 0o640)
    disk.files.rename("/d", "/e")
    disk.files.fsync("/e/a", 0, handle)
    disk.files.unlink("/e/a")
    disk.files.fsyncdir("/", 0, 0)
    assert disk.cut() == {"/e/b": b"1"}
    assert (tmp_path / "live" / "l").readlink() == Path("d/a")
    assert (tmp_path / "live" / "e").stat().st_mode & 0o777 == 0o750


def test_what_stands_on_the_disk_at_first_is_synced(tmp_path: Path) -> None:
    (tmp_path / "live" / "d").mkdir(parents=True)
    (tmp_path / "live" / "d" / "a").write_bytes(b"old")
    files = VolatileFiles(tmp_path / "live", tmp_path / "synced")
    handle = files.open("/d/a", os.O_RDWR)
    files.write("/d/a", b"new", 0, handle)
    files.destroy("/")
    assert (tmp_path / "live" / "d" / "a").read_bytes() == b"old"


class Model:
    """Whole copies instead of ranges and a journal."""

    def __init__(self) -> None:
        self.now: dict[str, int] = {}
        self.names: dict[str, int] = {}
        self.bytes: dict[int, bytearray] = {}
        self.synced: dict[int, bytes] = {}

    def sync(self, file: int) -> None:
        self.synced[file] = bytes(self.bytes[file])
        self.names = dict(self.now)

    def write(self, file: int, data: bytes, at: int) -> None:
        held = self.bytes[file]
        held.extend(bytes(max(0, at - len(held))))
        held[at : at + len(data)] = data

    def truncate(self, file: int, size: int) -> None:
        held = self.bytes[file]
        held[size:] = bytes(max(0, size - len(held)))

    def cut(self) -> dict[str, bytes]:
        return {path: self.synced.get(file, b"") for path, file in self.names.items()}


@st.composite
def operations(draw: st.DrawFn) -> list[tuple[str, str, str, int, int]]:
    kinds = st.sampled_from(["create", "write", "write", "sync", "truncate", "rename", "unlink"])
    names = st.sampled_from(NAMES)
    return draw(st.lists(st.tuples(kinds, names, names, SIZES, SIZES), max_size=40))


@settings(max_examples=200, deadline=None)
@given(operations())
def test_any_order_leaves_what_whole_copies_say(steps: list[tuple[str, str, str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        disk, model, handles = Disk(Path(directory)), Model(), {}
        for number, (kind, path, other, at, size) in enumerate(steps):
            _step(disk.files, model, handles, kind, path, other, at, bytes([number + 1]) * size)
        for handle in handles.values():
            os.close(handle)
        assert disk.cut() == model.cut()


def _step(
    files: VolatileFiles,
    model: Model,
    handles: dict[int, int],
    kind: str,
    path: str,
    other: str,
    at: int,
    data: bytes,
) -> None:
    file = model.now.get(path)
    if kind == "create" and file is None:
        file = model.now[path] = len(model.bytes)
        model.bytes[file] = bytearray()
        handles[file] = files.create(path, 0o600)
    if file is None:
        return
    done: dict[str, Callable[[], object]] = {
        "write": lambda: (files.write(path, data, at, handles[file]), model.write(file, data, at)),
        "sync": lambda: (files.fsync(path, 0, handles[file]), model.sync(file)),
        "truncate": lambda: (files.truncate(path, at), model.truncate(file, at)),
        "unlink": lambda: (files.unlink(path), model.now.pop(path)),
    }
    if kind == "rename" and path != other:
        files.rename(path, other)
        model.now[other] = model.now.pop(path)
    elif kind in done:
        done[kind]()
