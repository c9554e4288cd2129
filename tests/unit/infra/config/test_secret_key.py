"""The key for secrets: given, made once, shared by processes that start together, never replaced."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from infra.config.secret_key import load_or_make
from infra.config.settings import SettingsError, load_settings


def test_given_keys_are_used_in_order(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, secret_key=f"{'a' * 16}, {'b' * 16}")
    assert settings.secret_keys() == (b"a" * 16, b"b" * 16)
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_made_once_and_can_be_moved_to_the_environment(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "new")
    (key,) = settings.secret_keys()
    path = tmp_path / "new" / "secret-key"
    assert settings.secret_keys() == (key,)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(bytes.fromhex(key.decode())) == 32
    assert load_settings(secret_key=path.read_text().strip()).secret_keys() == (key,)
    assert {one.name for one in path.parent.iterdir()} == {"secret-key", ".gitignore"}


def test_a_file_may_hold_the_new_key_and_the_old_one(tmp_path: Path) -> None:
    (old,) = load_or_make(tmp_path)
    (tmp_path / "secret-key").write_text(f"{'ab' * 32}\n{old.decode()}\n")
    assert load_settings(data_dir=tmp_path).secret_keys() == (b"ab" * 32, old)
    (tmp_path / "secret-key").write_text(f"{'ab' * 32}\nnot a key\n")
    with pytest.raises(SettingsError, match="secret-key"):
        load_settings(data_dir=tmp_path).secret_keys()


@pytest.mark.parametrize("number", range(20))
def test_processes_that_start_at_once_share_one_key(tmp_path: Path, number: int) -> None:
    """Each finds no directory, no `.gitignore` and no key, and makes them beside the others."""
    home = tmp_path / "new"
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.extend(load_or_make(home))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert {one.name for one in home.iterdir()} == {"secret-key", ".gitignore"}


def test_a_damaged_key_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secret-key").write_text("")
    with pytest.raises(SettingsError, match="backup"):
        load_settings(data_dir=tmp_path).secret_keys()
    assert (tmp_path / "secret-key").read_text() == ""
