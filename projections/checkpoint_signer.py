"""Checkpoint signer: appends a signed checkpoint after enough events or enough time.

Delivery: it reads the log after the last checkpoint and acknowledges nothing. Any number of signers may run;
the compare-and-set accepts one checkpoint, and the others continue from it. A crash loses nothing. A signer
continues only from a checkpoint whose signature it trusts, so that it never confirms a forged history.
"""

from __future__ import annotations

import asyncio

import structlog

from domain.errors import Busy
from domain.evidence.checkpoint import (
    CheckpointInvalid,
    LogCheckpoint,
    SigningKey,
    TrustedKeys,
    check_signature,
    make_checkpoint,
)
from domain.evidence.merkle import leaf_hash
from domain.ports.evidence import LogCheckpoints, StoredLog
from domain.ports.log import Clock, LogGap
from domain.protocol import rfc3339

LOOK_SECONDS = 1.0
DISTRUST_SECONDS = 60.0
MOST_EVENTS = 10_000

log = structlog.get_logger(__name__)


class CheckpointSigner:
    """One signer; `run` it until it is canceled.

    It signs once `every_events` events (at most MOST_EVENTS) follow the last checkpoint, or `every_seconds`
    after it first saw an event follow it.
    """

    def __init__(
        self,
        stored: StoredLog,
        checkpoints: LogCheckpoints,
        signer: SigningKey,
        trusted: TrustedKeys,
        clock: Clock,
        every_events: int,
        every_seconds: float,
    ) -> None:
        self._stored = stored
        self._checkpoints = checkpoints
        self._signer = signer
        self._trusted = trusted
        self._clock = clock
        self._every_events = min(every_events, MOST_EVENTS)
        self._every_seconds = every_seconds
        self._last: LogCheckpoint | None = None
        self._known = False
        self._waiting_since: float | None = None

    async def run(self) -> None:
        """Sign until canceled.

        Raises:
            LogGap: the log has a hole.
        """
        while True:
            pause = LOOK_SECONDS
            try:
                if await self.sign_due():
                    continue
            except Busy:
                self._known = False
            except CheckpointInvalid as error:
                self._known = False
                log.error(
                    "checkpoints are no longer signed: check it with `towpath verify`", error=str(error)
                )
                pause = DISTRUST_SECONDS
            await asyncio.sleep(pause)

    async def sign_due(self) -> bool:
        """Sign and append at most one due checkpoint; return whether one was due.

        Raises:
            CheckpointInvalid: the last checkpoint is invalid, or the log does not reach it.
            Busy: NATS does not answer.
        """
        if not self._known:
            ever = await self._checkpoints.ever()
            self._last = await self._checkpoints.last()
            if (self._last.number if self._last else 0) < ever:
                raise CheckpointInvalid(
                    f"checkpoint {ever} is gone: nothing can be appended behind what is left"
                )
            if self._last is not None:
                self._vouch(self._last)
            self._known = True
        signed = self._last.last_seq if self._last else 0
        open_events = await self._stored.last_seq() - signed
        if open_events < 0:
            raise CheckpointInvalid(f"the log ends {-open_events} events before the last checkpoint does")
        if open_events == 0:
            self._waiting_since = None
            return False
        now = asyncio.get_running_loop().time()
        if self._waiting_since is None:
            self._waiting_since = now
        if open_events < self._every_events and now - self._waiting_since < self._every_seconds:
            return False
        await self._sign(signed + 1, signed + min(open_events, self._every_events))
        return True

    def _vouch(self, checkpoint: LogCheckpoint) -> None:
        try:
            check_signature(checkpoint, self._trusted)
            checkpoint.tree()
        except CheckpointInvalid as error:
            raise CheckpointInvalid(
                f"checkpoint {checkpoint.number} cannot be gone on from: {error}; if the key was replaced, "
                "let TOWPATH_CHECKPOINT_KEY or `checkpoint-key` name the old one as `public:…`"
            ) from error

    async def _sign(self, first: int, last: int) -> None:
        leaves: list[bytes] = []
        async for batch in self._stored.stretch(first, last):
            for message in batch:
                if message.seq != first + len(leaves):
                    raise _gap(first + len(leaves))
                lines = sorted(message.header_lines())
                leaves.append(leaf_hash(message.seq, message.subject, lines, message.data))
        if len(leaves) != last - first + 1:
            raise _gap(first + len(leaves))
        made = make_checkpoint(self._last, leaves, rfc3339(self._clock()), self._signer)
        self._waiting_since = None
        if await self._checkpoints.append(made):
            self._last = made
        else:
            # another signer was first: go on from its checkpoint
            self._known = False


def _gap(missing: int) -> LogGap:
    return LogGap(f"the log has no event at sequence {missing}; run `towpath verify`")
