"""Attempt tokens: HMAC proof that the control plane granted this attempt; and the tokens of jobs.

An attempt token carries attempt and fencing token in clear text and an HMAC over task, attempt and fencing
token, so that it can be checked without a look-up. It is minted only for a granted attempt (with fencing
token 0 if the attempt needs no lock). Tokens are compared in constant time and never logged or recorded.
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
        self._keys = _keys(b"towpath attempt token\n", keys)

    def mint(self, task_id: TaskId, attempt: int, fencing_token: FencingToken) -> str:
        """The token for a submission."""
        return f"{attempt}.{fencing_token}.{_mac(self._keys[0], task_id, attempt, fencing_token)}"

    def check(self, task_id: TaskId, token: str) -> Proof | None:
        """The proof in `token` for `task_id`; None if it is invalid."""
        attempt_text, _, rest = token.partition(".")
        fencing_text, _, mac = rest.partition(".")
        if not (_is_number(attempt_text) and _is_number(fencing_text)):
            return None
        attempt, fencing_token = int(attempt_text), FencingToken(int(fencing_text))
        given = mac.encode("utf-8", "replace")
        for key in self._keys:
            expected = _mac(key, task_id, attempt, fencing_token).encode()
            if hmac.compare_digest(expected, given):
                return Proof(attempt, fencing_token)
        return None


class JobTokens:
    """Tokens with which a job may ask questions and read its own task, and do nothing else.

    A purpose of its own goes into the keys, so none of them is an attempt token: a job cannot report its
    own end.
    """

    def __init__(self, *keys: bytes) -> None:
        self._keys = _keys(b"towpath job token\n", keys)

    def mint(self, task_id: TaskId, attempt: int) -> str:
        """The token that a job gets."""
        return f"job.{attempt}.{_mac(self._keys[0], task_id, attempt)}"

    def check(self, task_id: TaskId, token: str) -> int | None:
        """The attempt of `task_id` whose job has `token`; None where it is no job token of the task."""
        kind, _, rest = token.partition(".")
        attempt, _, mac = rest.partition(".")
        if kind != "job" or not _is_number(attempt):
            return None
        given = mac.encode("utf-8", "replace")
        for key in self._keys:
            if hmac.compare_digest(_mac(key, task_id, int(attempt)).encode(), given):
                return int(attempt)
        return None


def _keys(purpose: bytes, keys: tuple[bytes, ...]) -> list[bytes]:
    if not keys or not all(keys):
        raise ValueError("tokens need at least one key")
    return [hashlib.sha256(purpose + key).digest() for key in keys]


def _mac(key: bytes, *parts: str | int) -> str:
    return hmac.new(key, "\n".join(map(str, parts)).encode(), hashlib.sha256).hexdigest()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19
