"""Sealed env values open with their key, for their task and their name, and for nothing else."""

from __future__ import annotations

import base64

import pytest

from adapters.crypto.env_encryption import AesGcmEnvCipher
from domain.ports.dispatch import EnvUnreadable

ENV = {"TOKEN": "s3cret", "EMPTY": "", "WIDE": "käse \U0001f9c0 \n"}


def test_what_was_sealed_opens_again_and_shows_nothing() -> None:
    cipher = AesGcmEnvCipher(b"key")
    sealed = cipher.encrypt("task", ENV)
    assert cipher.decrypt("task", sealed) == ENV
    assert sealed.keys() == ENV.keys()
    assert not any("s3cret" in value for value in sealed.values())


def test_the_same_value_is_never_sealed_alike() -> None:
    cipher = AesGcmEnvCipher(b"key")
    assert len({cipher.encrypt("task", {"A": "x"})["A"] for _ in range(50)}) == 50


def test_another_key_is_named_as_the_reason() -> None:
    sealed = AesGcmEnvCipher(b"key").encrypt("task", {"A": "x"})
    with pytest.raises(EnvUnreadable, match="A was encrypted with another secret key"):
        AesGcmEnvCipher(b"other").decrypt("task", sealed)


def test_a_value_cannot_be_moved_to_another_task_or_name() -> None:
    cipher = AesGcmEnvCipher(b"key")
    sealed = cipher.encrypt("task", {"A": "x"})["A"]
    for task_id, name in (("other", "A"), ("task", "B")):
        with pytest.raises(EnvUnreadable):
            cipher.decrypt(task_id, {name: sealed})


def test_keys_rotate() -> None:
    old = AesGcmEnvCipher(b"old").encrypt("task", {"A": "x"})
    rotated = AesGcmEnvCipher(b"new", b"old")
    assert rotated.decrypt("task", old) == {"A": "x"}
    new = rotated.encrypt("task", {"A": "y"})
    assert AesGcmEnvCipher(b"new").decrypt("task", new) == {"A": "y"}
    with pytest.raises(EnvUnreadable):
        AesGcmEnvCipher(b"old").decrypt("task", new)


@pytest.mark.parametrize(
    "change", ["", "v1", "v1.x", "v2.{key}.{text}", "v1.{key}.", "v1.{key}.AAAA", "v1.{key}.%"]
)
def test_what_was_changed_does_not_open(change: str) -> None:
    cipher = AesGcmEnvCipher(b"key")
    _, key, text = cipher.encrypt("task", {"A": "x"})["A"].split(".")
    with pytest.raises(EnvUnreadable):
        cipher.decrypt("task", {"A": change.format(key=key, text=text)})


def test_a_flipped_bit_does_not_open() -> None:
    cipher = AesGcmEnvCipher(b"key")
    head, key, text = cipher.encrypt("task", {"A": "value"})["A"].split(".")
    raw = bytearray(base64.b64decode(text))
    for place in range(len(raw)):
        raw[place] ^= 1
        with pytest.raises(EnvUnreadable):
            cipher.decrypt("task", {"A": f"{head}.{key}.{base64.b64encode(raw).decode()}"})
        raw[place] ^= 1


@pytest.mark.parametrize("keys", [(), (b"",), (b"key", b"")])
def test_without_a_key_there_is_no_sealer(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="key"):
        AesGcmEnvCipher(*keys)
