"""Ed25519 keys that sign and verify checkpoints.

A key is configured as text: a private key as the 64 hex digits of its seed, a public key as `public:` and 64
hex digits. Of several keys, the first signs and all are trusted, so that a key can be replaced while its
older signatures stay valid. A key's id is the beginning of the SHA-256 of its public key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.evidence.checkpoint import CheckpointInvalid

PUBLIC = "public:"
_HEX = re.compile("[0-9a-f]{64}")


def key_id_of(public: bytes) -> str:
    """The id of a public key: 16 hex digits."""
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
        """Keys from 64 hex digits each, with or without `public:`; ValueError for any other text."""
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
        """The keys as 64 hex digits each, by key id."""
        return {key_id: key.public_bytes_raw().hex() for key_id, key in self._keys.items()}


def parse_keys(texts: Iterable[str]) -> tuple[CheckpointKey, PublicKeys]:
    """The signing key (the first) and all trusted keys.

    Raises:
        ValueError: a text is no key, or the first is not a private key.
    """
    given = [text.strip() for text in texts if text.strip()]
    if not given or given[0].startswith(PUBLIC):
        raise ValueError("the first checkpoint key signs: it must be a private one, 64 hex digits")
    private = [CheckpointKey(text) for text in given if not text.startswith(PUBLIC)]
    public = [_raw(text.removeprefix(PUBLIC)) for text in given if text.startswith(PUBLIC)]
    return private[0], PublicKeys([*(key.public for key in private), *public])


def public_texts(texts: Sequence[str]) -> Mapping[str, str]:
    """The public keys of configured keys, as hex texts by id; {} for none. ValueError: as `parse_keys`."""
    return parse_keys(texts)[1].as_texts() if texts else {}
