"""Compares the log's leaf hashes with signed checkpoints, from the log's own stream or an export.

Both sources are read along with the log, one checkpoint at a time. A checkpoint counts as evidence only if
its signature is valid. Without a key it is still compared: that finds damage, but no forgery.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from domain.evidence.checkpoint import (
    PRINT_BYTES,
    CheckpointInvalid,
    LogCheckpoint,
    TrustedKeys,
    check_follows,
    check_signature,
)
from domain.evidence.merkle import Tree, root_of
from infra.audit.findings import VerifyReport


class CheckpointCheck:
    """One source of checkpoints, called `name` in messages: `open`, `see` every leaf, `finish`.

    Call `close_range` after the leaf at `next_end` and before the next leaf.
    """

    def __init__(
        self,
        name: str,
        checkpoints: AsyncIterator[LogCheckpoint],
        keys: TrustedKeys | None,
        report: VerifyReport,
        *,
        from_start: bool,
    ) -> None:
        self.name = name
        self._checkpoints = checkpoints
        self._keys = keys
        self._report = report
        self._from_start = from_start
        self._previous: LogCheckpoint | None = None
        self._current: LogCheckpoint | None = None
        self._prints: list[bytes] = []
        self._leaves: list[bytes] = []
        self._doubted = False
        self.count = 0
        self.covered_upto = 0
        self.numbers: tuple[int, int] | None = None
        """Numbers of the first and the last checkpoint that was read."""

    async def open(self) -> None:
        """Read the first checkpoint."""
        await self._advance()

    @property
    def next_end(self) -> int:
        """The last sequence of the current checkpoint; 0 if there is none."""
        return self._current.last_seq if self._current else 0

    def see(self, seq: int, leaf: bytes) -> None:
        """Compare one leaf. Pass all leaves of a checkpoint in order, before `close_range`."""
        current = self._current
        if current is None or seq < current.first_seq:
            return
        self._leaves.append(leaf)
        if self._doubted or not self._prints:
            return
        if leaf[:PRINT_BYTES] != self._prints[seq - current.first_seq]:
            self._doubted = True
            self._report.add(
                seq,
                "checkpoint",
                f"what stands at sequence {seq} is not what {self.name} checkpoint {current.number} "
                "saw there",
            )

    async def close_range(self, tree: Tree) -> None:
        """Check the current checkpoint after its last leaf; `tree` holds the log up to its end."""
        current = self._current
        assert current is not None
        whole = len(self._leaves) == current.last_seq - current.first_seq + 1
        same = whole and root_of(self._leaves).hex() == current.root and tree.root.hex() == current.tree_root
        if not same and not self._doubted and not self._report.findings:
            self._doubted = True
            self._report.add(
                current.first_seq,
                "checkpoint",
                f"the log up to {current.last_seq} is not what {self.name} checkpoint {current.number} "
                "covers",
                exact=False,
            )
        if same and not self._doubted:
            self.covered_upto = current.last_seq
        await self._advance()

    def finish(self, last_seq: int) -> None:
        """Check for checkpoints beyond `last_seq`, where the log ends."""
        current = self._current
        if current is not None and current.last_seq > last_seq:
            self._report.add(
                last_seq + 1,
                "checkpoint",
                f"the log ends at sequence {last_seq}, but {self.name} checkpoint {current.number} covers "
                f"{current.first_seq} to {current.last_seq}: the end is missing",
            )

    async def _advance(self) -> None:
        self._previous, self._current = self._current, None
        self._leaves, self._prints = [], []
        expected = (self._previous.last_seq if self._previous else 0) + 1
        try:
            self._current = await anext(self._checkpoints, None)
        except CheckpointInvalid as error:
            self._doubt(expected, f"{self.name} checkpoints cannot be read on: {error}")
            return
        if self._current is None:
            return
        self.count += 1
        current = self._current
        self.numbers = (self.numbers[0] if self.numbers else current.number, current.number)
        try:
            if self._previous is not None or self._from_start:
                check_follows(self._previous, current)
            if self._keys is not None:
                check_signature(current, self._keys)
            current.tree()
        except CheckpointInvalid as error:
            self._doubt(expected, f"{self.name} checkpoint {current.number} is not valid: {error}")
            if current.last_seq < expected or current.first_seq > current.last_seq:
                self._current = None
                return
        self._prints = current.leaf_prints()

    def _doubt(self, seq: int, sentence: str) -> None:
        if not self._doubted:
            self._doubted = True
            self._report.add(seq, "checkpoint", sentence, exact=False)
