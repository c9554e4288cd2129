"""Sealed env values open with their key, for their task and their name, and for nothing else."""

from __future__ import annotations

import base64

import pytest

from adapters.crypto.env_encryption import AesGcmSealer
from domain.ports.dispatch import SealBroken

ENV = {"TOKEN": "s3cret", "EMPTY": "", "WIDE": "käse \U0001f9c0 \n"}


def test_what_was_sealed_opens_again_and_shows_nothing() -> None:
    sealer = AesGcmSealer(b"key")
    sealed = sealer.seal("task", ENV)
    assert sealer.unseal("task", sealed) == ENV
    assert sealed.keys() == ENV.keys()
    assert not any("s3cret" in value for value in sealed.values())


def test_the_same_value_is_never_sealed_alike() -> None:
    sealer = AesGcmSealer(b"key")
    assert len({sealer.seal("task", {"A": "x"})["A"] for _ in range(50)}) == 50


def test_another_key_is_named_as_the_reason() -> None:
    sealed = AesGcmSealer(b"key").seal("task", {"A": "x"})
    with pytest.raises(SealBroken, match="A was sealed with another secret key"):
        AesGcmSealer(b"other").unseal("task", sealed)


def test_a_value_cannot_be_moved_to_another_task_or_name() -> None:
    sealer = AesGcmSealer(b"key")
    sealed = sealer.seal("task", {"A": "x"})["A"]
    for task_id, name in (("other", "A"), ("task", "B")):
        with pytest.raises(SealBroken):
            sealer.unseal(task_id, {name: sealed})


def test_keys_rotate() -> None:
    old = AesGcmSealer(b"old").seal("task", {"A": "x"})
    rotated = AesGcmSealer(b"new", b"old")
    assert rotated.unseal("task", old) == {"A": "x"}
    new = rotated.seal("task", {"A": "y"})
    assert AesGcmSealer(b"new").unseal("task", new) == {"A": "y"}
    with pytest.raises(SealBroken):
        AesGcmSealer(b"old").unseal("task", new)


@pytest.mark.parametrize(
    "change", ["", "v1", "v1.x", "v2.{key}.{text}", "v1.{key}.", "v1.{key}.AAAA", "v1.{key}.%"]
)
def test_what_was_changed_does_not_open(change: str) -> None:
    sealer = AesGcmSealer(b"key")
    _, key, text = sealer.seal("task", {"A": "x"})["A"].split(".")
    with pytest.raises(SealBroken):
        sealer.unseal("task", {"A": change.format(key=key, text=text)})


def test_a_flipped_bit_does_not_open() -> None:
    sealer = AesGcmSealer(b"key")
    head, key, text = sealer.seal("task", {"A": "value"})["A"].split(".")
    raw = bytearray(base64.b64decode(text))
    for place in range(len(raw)):
        raw[place] ^= 1
        with pytest.raises(SealBroken):
            sealer.unseal("task", {"A": f"{head}.{key}.{base64.b64encode(raw).decode()}"})
        raw[place] ^= 1


@pytest.mark.parametrize("keys", [(), (b"",), (b"key", b"")])
def test_without_a_key_there_is_no_sealer(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="key"):
        AesGcmSealer(*keys)
