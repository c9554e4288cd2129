"""The file with the key that signs checkpoints: made once, replaced without leaving a private key behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.crypto.checkpoint_keys import PUBLIC, parse_keys
from infra.config.checkpoint_key import NAME, load, load_or_make, rotate


def test_it_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    assert load(data_dir) == ()
    made = load_or_make(data_dir)
    assert load_or_make(data_dir) == load(data_dir) == made
    assert (data_dir / NAME).stat().st_mode & 0o777 == 0o600


def test_each_rotation_signs_anew_and_trusts_all_that_signed_before(tmp_path: Path) -> None:
    signers = [parse_keys(load_or_make(tmp_path))[0]]
    for _ in range(3):
        keys = rotate(tmp_path)
        signer, trusted = parse_keys(keys)
        signers.append(signer)
        assert keys == load(tmp_path)
        assert set(trusted.as_texts()) == {one.key_id for one in signers}
        for one in signers:
            trusted.check(one.key_id, b"said", one.sign(b"said"))
        assert [key.startswith(PUBLIC) for key in keys] == [False] + [True] * (len(signers) - 1)
    assert len({one.key_id for one in signers}) == 4
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    assert {entry.name for entry in tmp_path.iterdir()} == {NAME, ".gitignore"}


def test_a_rotation_that_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    (old,) = load_or_make(tmp_path)
    (tmp_path / f"{NAME}.new").write_text("half a k")
    new, kept = rotate(tmp_path)
    assert kept == PUBLIC + parse_keys([old])[0].public.hex()
    assert new != old
    assert not (tmp_path / f"{NAME}.new").exists()


def test_a_damaged_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("no key\n")
    for act in (load, load_or_make, rotate):
        with pytest.raises(ValueError, match="Restore it from a backup"):
            act(tmp_path)
    assert (tmp_path / NAME).read_text() == "no key\n"
