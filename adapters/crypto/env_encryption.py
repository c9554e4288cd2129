"""Encrypts env values with AES-GCM, so that readers of the log cannot see them.

An encrypted value is `v1.<key id>.<base64 of nonce and ciphertext>`. It is bound to its task and name, so it
cannot be copied to another one. The first key encrypts and all keys decrypt, so that keys can be rotated.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.identifiers import TaskId
from domain.ports.dispatch import EnvUnreadable

NONCE_BYTES = 12


class AesGcmEnvCipher:
    """Port `EnvCipher`."""

    def __init__(self, *keys: bytes) -> None:
        if not keys or not all(keys):
            raise ValueError("sealing needs at least one key")
        derived = [hashlib.sha256(b"towpath env sealing\n" + key).digest() for key in keys]
        self._ciphers = {hashlib.sha256(key).hexdigest()[:8]: AESGCM(key) for key in derived}
        self._key_id = next(iter(self._ciphers))

    @property
    def key_ids(self) -> list[str]:
        """The ids of the keys in encrypted values, that of the encrypting key first."""
        return list(self._ciphers)

    def encrypt(self, task_id: TaskId, env: dict[str, str]) -> dict[str, str]:
        """See the port."""
        return {name: self._seal(task_id, name, value) for name, value in env.items()}

    def decrypt(self, task_id: TaskId, env: dict[str, str]) -> dict[str, str]:
        """See the port."""
        return {name: self._decrypt(task_id, name, value) for name, value in env.items()}

    def _seal(self, task_id: TaskId, name: str, value: str) -> str:
        nonce = os.urandom(NONCE_BYTES)
        encrypted = self._ciphers[self._key_id].encrypt(nonce, value.encode(), _bound_to(task_id, name))
        return f"v1.{self._key_id}.{base64.b64encode(nonce + encrypted).decode()}"

    def _decrypt(self, task_id: TaskId, name: str, encrypted: str) -> str:
        version, _, rest = encrypted.partition(".")
        key_id, _, text = rest.partition(".")
        cipher = self._ciphers.get(key_id)
        if version != "v1" or cipher is None:
            raise EnvUnreadable(
                f"env value {name} was encrypted with another secret key; give that one as well"
            )
        try:
            raw = base64.b64decode(text, validate=True)
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _bound_to(task_id, name)).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise EnvUnreadable(f"the encrypted env value {name} was changed") from error


def _bound_to(task_id: TaskId, name: str) -> bytes:
    return f"{task_id}\n{name}".encode()
