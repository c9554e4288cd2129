"""Ed25519 keys that sign and verify checkpoints.

A key is written as text: a private one as the 64 hex digits of its seed, a public one as `public:` and 64
hex digits. The first of several signs, all are trusted: that is how a key is replaced without losing trust
in what the old one signed. A key's id is the beginning of the SHA-256 of its public key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.evidence.checkpoint import CheckpointInvalid

PUBLIC = "public:"
_HEX = re.compile("[0-9a-f]{64}")


def key_id_of(public: bytes) -> str:
    """16 hex digits that name a public key."""
    return sha256(public).hexdigest()[:16]


def _raw(text: str) -> bytes:
    if not _HEX.fullmatch(text):
        raise ValueError(f"a checkpoint key is 64 hex digits, or `{PUBLIC}` and 64 hex digits")
    return bytes.fromhex(text)


class CheckpointKey:
    """One private key; port `SigningKey`."""

    def __init__(self, seed: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(_raw(seed.strip()))
        self.public = self._key.public_key().public_bytes_raw()
        self.key_id = key_id_of(self.public)

    def sign(self, text: bytes) -> bytes:
        """See the port."""
        return self._key.sign(text)


class PublicKeys:
    """Port `TrustedKeys`: raw public keys by id."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = {key_id_of(key): Ed25519PublicKey.from_public_bytes(key) for key in keys}

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> PublicKeys:
        """From 64 hex digits each, with or without `public:`; ValueError for anything else."""
        return cls(_raw(text.strip().removeprefix(PUBLIC)) for text in texts)

    def check(self, key_id: str, text: bytes, signature: bytes) -> None:
        """See the port."""
        key = self._keys.get(key_id)
        if key is None:
            raise CheckpointInvalid(f"it is signed with key {key_id}, which is not trusted")
        try:
            key.verify(signature, text)
        except InvalidSignature:
            raise CheckpointInvalid(f"its signature is not one of key {key_id}") from None

    def as_texts(self) -> Mapping[str, str]:
        """Key ids to 64 hex digits each."""
        return {key_id: key.public_bytes_raw().hex() for key_id, key in self._keys.items()}


def parse_keys(texts: Iterable[str]) -> tuple[CheckpointKey, PublicKeys]:
    """The key that signs (the first) and all trusted ones.

    Raises:
        ValueError: a text is no key, or the first is not a private one.
    """
    given = [text.strip() for text in texts if text.strip()]
    if not given or given[0].startswith(PUBLIC):
        raise ValueError("the first checkpoint key signs: it must be a private one, 64 hex digits")
    private = [CheckpointKey(text) for text in given if not text.startswith(PUBLIC)]
    public = [_raw(text.removeprefix(PUBLIC)) for text in given if text.startswith(PUBLIC)]
    return private[0], PublicKeys([*(key.public for key in private), *public])
