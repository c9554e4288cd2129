"""The signed checkpoint: a Merkle root over the log up to a sequence, as canonical text.

`root` is the Merkle root of the range, `tree_root` that of everything from sequence 1 on. With a copy kept
elsewhere, an auditor can later tell whether the log still has the same beginning. `prints` are the first four
bytes of every leaf hash in the range: they prove no more than the root does, but they locate a changed event.
`previous` chains the checkpoints.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any, Protocol, Self

from domain.evidence.merkle import Tree, root_of

FIRST_PREVIOUS = "0" * 64
PRINT_BYTES = 4
SIGNED_AS = b"towpath-checkpoint-v1\n"
"""The prefix of every signed text (domain separation): the signature is valid for no other kind of text."""


EXPORT_FORMAT = "towpath-checkpoints"
EXPORT_VERSION = 1


class CheckpointInvalid(ValueError):
    """A checkpoint is invalid: its form, its signature, or its link to the one before."""


@dataclass(frozen=True, slots=True)
class LogCheckpoint:
    """Checkpoint `number` (1, 2, …) over the sequences `first_seq` to `last_seq`.

    Hashes and the signature are lower-case hex, `prints` is base64, `time` RFC 3339 UTC.
    """

    number: int
    first_seq: int
    last_seq: int
    root: str
    tree_root: str
    peaks: tuple[str, ...]
    prints: str
    previous: str
    time: str
    key_id: str
    signature: str = ""

    @classmethod
    def of(cls, given: Any) -> Self:
        """The checkpoint in this JSON value.

        Raises:
            CheckpointInvalid: the value has the wrong form.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(given, dict) or set(given) != set(names):
            raise CheckpointInvalid(f"a checkpoint has the fields {', '.join(names)} and no others")
        peaks = given["peaks"]
        if not isinstance(peaks, list) or not all(isinstance(peak, str) for peak in peaks):
            raise CheckpointInvalid("`peaks` is a list of hashes")
        for name in ("number", "first_seq", "last_seq"):
            if type(given[name]) is not int or given[name] < 1:
                raise CheckpointInvalid(f"`{name}` is a positive number")
        for name in set(names) - {"number", "first_seq", "last_seq", "peaks"}:
            if not isinstance(given[name], str):
                raise CheckpointInvalid(f"`{name}` is a text")
        return cls(**{**given, "peaks": tuple(peaks)})

    def as_json(self) -> dict[str, Any]:
        """All fields as plain data, as stored and exported."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"peaks": list(self.peaks)}

    def encoded(self) -> bytes:
        """All fields as canonical JSON (RFC 8785: sorted names, no spaces; all texts are ASCII)."""
        return _canonical(self.as_json())

    def signed_text(self) -> bytes:
        """The signed text: SIGNED_AS, then the canonical JSON of all fields but `signature`."""
        return SIGNED_AS + _canonical({k: v for k, v in self.as_json().items() if k != "signature"})

    @property
    def digest(self) -> str:
        """The hash that the next checkpoint has as `previous`."""
        return sha256(self.encoded()).hexdigest()

    def tree(self) -> Tree:
        """The tree over everything up to `last_seq`, to be continued.

        Raises:
            CheckpointInvalid: the peaks are not those of `tree_root`.
        """
        try:
            tree = Tree(self.last_seq, [bytes.fromhex(peak) for peak in self.peaks])
        except ValueError as error:
            raise CheckpointInvalid(str(error)) from error
        if tree.root.hex() != self.tree_root:
            raise CheckpointInvalid("the peaks are not those of `tree_root`")
        return tree

    def leaf_prints(self) -> list[bytes]:
        """The first bytes of each leaf hash; [] if their number does not fit the range."""
        try:
            joined = base64.b64decode(self.prints, validate=True)
        except binascii.Error:
            return []
        if len(joined) != PRINT_BYTES * (self.last_seq - self.first_seq + 1):
            return []
        return [joined[at : at + PRINT_BYTES] for at in range(0, len(joined), PRINT_BYTES)]


class SigningKey(Protocol):
    """Signs with one key."""

    @property
    def key_id(self) -> str:
        """The id of the key."""
        ...

    def sign(self, text: bytes) -> bytes:
        """The signature of `text`."""
        ...


class TrustedKeys(Protocol):
    """Public keys that are trusted for checkpoints."""

    def check(self, key_id: str, text: bytes, signature: bytes) -> None:
        """Return if the key is trusted and the signature is valid; else raise CheckpointInvalid."""
        ...


def make_checkpoint(
    previous: LogCheckpoint | None, leaves: Sequence[bytes], time: str, signer: SigningKey
) -> LogCheckpoint:
    """The signed checkpoint over the `leaves` (hashes) that follow `previous`; at least one."""
    tree = previous.tree() if previous else Tree()
    first = tree.size + 1
    for leaf in leaves:
        tree.append(leaf)
    unsigned = LogCheckpoint(
        number=previous.number + 1 if previous else 1,
        first_seq=first,
        last_seq=tree.size,
        root=root_of(leaves).hex(),
        tree_root=tree.root.hex(),
        peaks=tuple(peak.hex() for peak in tree.peaks),
        prints=prints_of(leaves),
        previous=previous.digest if previous else FIRST_PREVIOUS,
        time=time,
        key_id=signer.key_id,
    )
    signature = signer.sign(unsigned.signed_text()).hex()
    return LogCheckpoint(**{**unsigned.as_json(), "peaks": unsigned.peaks, "signature": signature})


def export_head(public_keys: Mapping[str, str]) -> dict[str, Any]:
    """The first line of exported checkpoints; the keys are hex texts by key id."""
    return {"format": EXPORT_FORMAT, "version": EXPORT_VERSION, "public_keys": dict(public_keys)}


def prints_of(leaves: Iterable[bytes]) -> str:
    """The `prints` of these leaf hashes."""
    return base64.b64encode(b"".join(leaf[:PRINT_BYTES] for leaf in leaves)).decode()


def check_follows(previous: LogCheckpoint | None, checkpoint: LogCheckpoint) -> None:
    """Return if `checkpoint` directly follows `previous` (None: it is the first); else CheckpointInvalid."""
    number, after, digest = (
        (previous.number, previous.last_seq, previous.digest) if previous else (0, 0, FIRST_PREVIOUS)
    )
    if checkpoint.number != number + 1:
        raise CheckpointInvalid(f"checkpoint {number + 1} is missing")
    if checkpoint.first_seq != after + 1 or checkpoint.last_seq < checkpoint.first_seq:
        raise CheckpointInvalid(
            f"it covers {checkpoint.first_seq} to {checkpoint.last_seq}, but must begin at {after + 1}"
        )
    if checkpoint.previous != digest:
        raise CheckpointInvalid("it names another checkpoint as the one before it")


def check_signature(checkpoint: LogCheckpoint, keys: TrustedKeys) -> None:
    """Return if a trusted key has signed it; else CheckpointInvalid."""
    try:
        signature = bytes.fromhex(checkpoint.signature)
    except ValueError:
        raise CheckpointInvalid("its signature is no hex text") from None
    keys.check(checkpoint.key_id, checkpoint.signed_text(), signature)


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
