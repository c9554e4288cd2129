"""Attempt tokens: HMAC proof that the control plane granted this attempt.

A token carries attempt and fencing token in clear text and an HMAC over task, attempt and fencing token, so
that it can be checked without a look-up. It is minted only for a granted attempt (with fencing token 0 if the
attempt needs no lock). Tokens are compared in constant time and never logged or recorded.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from domain.identifiers import FencingToken, TaskId


@dataclass(frozen=True, slots=True)
class Proof:
    """What a valid attempt token proves: this attempt was granted with this fencing token."""

    attempt: int
    fencing_token: FencingToken


class AttemptTokens:
    """Mints tokens with the first key, and accepts tokens of any key (for rotation)."""

    def __init__(self, *keys: bytes) -> None:
        if not keys or not all(keys):
            raise ValueError("attempt tokens need at least one key")
        self._keys = [hashlib.sha256(b"towpath attempt token\n" + key).digest() for key in keys]

    def mint(self, task_id: TaskId, attempt: int, fencing_token: FencingToken) -> str:
        """The token for a submission."""
        return f"{attempt}.{fencing_token}.{self._mac(self._keys[0], task_id, attempt, fencing_token)}"

    def check(self, task_id: TaskId, token: str) -> Proof | None:
        """The proof in `token` for `task_id`; None if it is invalid."""
        attempt_text, _, rest = token.partition(".")
        fencing_text, _, mac = rest.partition(".")
        if not (_is_number(attempt_text) and _is_number(fencing_text)):
            return None
        attempt, fencing_token = int(attempt_text), FencingToken(int(fencing_text))
        given = mac.encode("utf-8", "replace")
        for key in self._keys:
            expected = self._mac(key, task_id, attempt, fencing_token).encode()
            if hmac.compare_digest(expected, given):
                return Proof(attempt, fencing_token)
        return None

    @staticmethod
    def _mac(key: bytes, task_id: TaskId, attempt: int, fencing_token: FencingToken) -> str:
        text = f"{task_id}\n{attempt}\n{fencing_token}".encode()
        return hmac.new(key, text, hashlib.sha256).hexdigest()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19
