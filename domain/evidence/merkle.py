"""The Merkle tree over the log, hashed as in RFC 6962 (SHA-256, leaf prefix 0x00, node prefix 0x01).

A leaf covers all of a stored event: sequence, subject, every header and the data. `Tree` keeps only the
roots of its complete subtrees ("peaks"). An append costs one hash on average, the tree of any log fits into a
few hundred bytes, and a reader that has the peaks can continue the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()
_LEAF, _NODE = b"\x00", b"\x01"


def leaf_hash(seq: int, subject: bytes, header_lines: Sequence[bytes], data: bytes) -> bytes:
    """The leaf of one stored message.

    `header_lines` are the lines of its header block as stored (`Name: value`, no line ends), in ascending
    order of their bytes. The encoding is: the sequence as 8 bytes, big-endian; subject, LF; every header
    line, LF each; LF; the data. No subject or header line holds a line end, so the encoding is unambiguous.
    """
    head = b"\n".join((subject, *header_lines, b"", b""))
    return sha256(b"\x00" + seq.to_bytes(8, "big") + head + data).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The Merkle root over these leaf hashes."""
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        # the last of an odd level moves up as it is, as in RFC 6962
        odd = level[-1:] if len(level) % 2 else []
        level = [
            sha256(_NODE + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=False)
        ] + odd
    return level[0]


class Tree:
    """An append-only tree. `peaks` are the roots of its complete subtrees, the largest first."""

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self._peaks = list(peaks)
        if len(self._peaks) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} peaks, not {len(self._peaks)}")

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The peaks; with `size`, the whole state of the tree."""
        return tuple(self._peaks)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        size, peaks = self.size, self._peaks
        self.size = size + 1
        # each trailing one bit is a complete subtree, as large as the one that grows here
        while size & 1:
            leaf = sha256(_NODE + peaks.pop() + leaf).digest()
            size >>= 1
        peaks.append(leaf)

    @property
    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        # from the smallest on: a larger subtree is always to the left
        for peak in reversed(self._peaks[:-1]):
            root = sha256(_NODE + peak + root).digest()
        return root
