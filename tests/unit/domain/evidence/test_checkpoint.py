"""Checkpoints: what is signed, how they follow on each other, and what they refuse to be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.crypto.checkpoint_keys import CheckpointKey, PublicKeys, parse_keys
from domain.evidence.checkpoint import (
    SIGNED_AS,
    CheckpointInvalid,
    LogCheckpoint,
    check_follows,
    check_signature,
    make_checkpoint,
)
from infra.documents.checkpoints import CheckpointData

KEY, OTHER = CheckpointKey("0a" * 32), CheckpointKey("0b" * 32)
LEAVES = [bytes([number]) * 32 for number in range(10)]
AT = "2026-03-01T12:00:00.000000Z"
FIRST = make_checkpoint(None, LEAVES[:6], AT, KEY)
SECOND = make_checkpoint(FIRST, LEAVES[6:], AT, KEY)


def test_what_is_stored_is_pinned() -> None:
    """Somebody keeps these for years: neither text nor signature may ever come out differently."""
    one, two = FIRST.peaks
    stored = (
        f'{{"first_seq":1,"key_id":"506ef1879d748ce0","last_seq":6,"number":1,"peaks":["{one}","{two}"],'
        f'"previous":"{"0" * 64}","prints":"AAAAAAEBAQECAgICAwMDAwQEBAQFBQUF","root":"{FIRST.root}",'
        f'"signature":"{FIRST.signature}","time":"{AT}","tree_root":"{FIRST.root}"}}'
    )
    assert FIRST.encoded() == stored.encode()
    assert FIRST.root == "ef79e7cd44454c61865a2c61ac979680ec0e879fc5585a261f86eedefc43e681"
    assert FIRST.signature == (
        "6357cb91095f715ccc28135060fbf6536431cda59b19e207563ffe65e36de50a"
        "9851c6f6e5cf7f06ef7be5fed7478f3ad12f5fea14f00dd230997c0e986eca0b"
    )
    assert FIRST.signed_text().startswith(SIGNED_AS + b'{"first_seq":1,')
    assert b"signature" not in FIRST.signed_text()


def test_checkpoints_follow_on_each_other() -> None:
    check_follows(None, FIRST)
    check_follows(FIRST, SECOND)
    assert (SECOND.first_seq, SECOND.last_seq, SECOND.number) == (7, 10, 2)
    whole = make_checkpoint(None, LEAVES, AT, KEY)
    assert whole.tree_root == SECOND.tree_root
    assert whole.peaks == SECOND.peaks
    for wrong in (
        FIRST,
        replace(SECOND, number=3),
        replace(SECOND, first_seq=6),
        replace(SECOND, previous="0" * 64),
    ):
        with pytest.raises(CheckpointInvalid):
            check_follows(FIRST, wrong)


def test_a_signature_covers_every_field() -> None:
    keys = PublicKeys([KEY.public])
    check_signature(SECOND, keys)
    changes = {
        "number": 9, "first_seq": 1, "last_seq": 11, "root": "00", "tree_root": "00", "peaks": (),
        "prints": "", "previous": "", "time": "", "signature": SECOND.signature[:-2] + "00",
    }  # fmt: skip
    for name, value in changes.items():
        with pytest.raises(CheckpointInvalid, match="signature"):
            check_signature(replace(SECOND, **{name: value}), keys)
    with pytest.raises(CheckpointInvalid, match="not trusted"):
        check_signature(replace(SECOND, key_id=OTHER.key_id), keys)
    with pytest.raises(CheckpointInvalid, match="no hex"):
        check_signature(replace(SECOND, signature="?"), keys)


def test_it_is_read_back_as_it_was_written() -> None:
    assert LogCheckpoint.of(SECOND.as_json()) == SECOND
    assert SECOND.leaf_prints() == [leaf[:4] for leaf in LEAVES[6:]]
    assert replace(SECOND, prints="AAAA").leaf_prints() == []
    good = SECOND.as_json()
    wrongs = [
        None, {}, {**good, "more": 1}, {**good, "peaks": "x"}, {**good, "number": 0},
        {**good, "number": True}, {**good, "root": 1},
    ]  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(CheckpointInvalid):
            LogCheckpoint.of(wrong)


def test_peaks_must_be_those_of_the_tree() -> None:
    assert SECOND.tree().root.hex() == SECOND.tree_root
    for wrong in (
        replace(SECOND, tree_root="00"),
        replace(SECOND, peaks=()),
        replace(SECOND, peaks=("x", "y")),
    ):
        with pytest.raises(CheckpointInvalid):
            wrong.tree()


def test_the_first_key_signs_and_all_are_trusted() -> None:
    signer, trusted = parse_keys(["0b" * 32, f"public:{KEY.public.hex()}"])
    assert signer.key_id == OTHER.key_id
    check_signature(FIRST, trusted)
    check_signature(make_checkpoint(FIRST, LEAVES[6:], AT, signer), trusted)
    for wrong in ([], ["public:" + KEY.public.hex()], ["short"], ["0A" * 32]):
        with pytest.raises(ValueError, match="64 hex digits"):
            parse_keys(wrong)


def test_the_published_schema_has_the_same_fields() -> None:
    assert CheckpointData.model_validate(FIRST.as_json()).model_dump() == FIRST.as_json()
    assert set(CheckpointData.model_fields) == set(FIRST.as_json())
