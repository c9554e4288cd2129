"""Runs a verification: one pass over the log with all checks, then the read model.

It needs a guest's rights on NATS and no API. The result covers the log up to its last sequence at the start,
or a little further if the read model has moved on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from nats.aio.client import Client
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.crypto.checkpoint_keys import PublicKeys, parse_keys
from adapters.event_store.checkpoints import JetStreamLogCheckpoints
from adapters.event_store.reading.raw_reader import RawLog
from adapters.read_model.database import open_database
from adapters.read_model.errors import DatabaseDamaged, DatabaseRefuses, trouble_of
from domain.evidence.checkpoint import CheckpointInvalid, LogCheckpoint
from infra.audit.auditor import Auditor
from infra.audit.checkpoint_check import CheckpointCheck
from infra.audit.export_reader import read_checkpoints, read_keys
from infra.audit.findings import Compared, TooMany, VerifyReport
from infra.audit.read_model_rows import HeldInterval, OtherReadModel, at_one_position, compare, rows_digest
from infra.audit.task_states import TaskStates
from infra.config.settings import Settings
from infra.nats.connection import connect

EXPORTED = "exported"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """Options: exported checkpoints, public keys as texts, and whether to compare the read model."""

    exported: Path | None = None
    public_keys: Sequence[str] = ()
    read_model: bool = True


def run_verify(
    settings: Settings, wanted: VerifyOptions, progress: Progress, progress_of_rows: Progress | None = None
) -> VerifyReport:
    """Verify everything.

    Raises:
        NatsUnavailable, Busy: the log cannot be read.
        NotAnExport, ValueError, OSError: the exported checkpoints or keys cannot be read.
    """
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(verify(settings, wanted, progress, progress_of_rows))


async def verify(
    settings: Settings, wanted: VerifyOptions, progress: Progress, progress_of_rows: Progress | None = None
) -> VerifyReport:
    """See `run_verify`."""
    report = VerifyReport()
    keys = _keys(settings, wanted, report)
    async with AsyncExitStack() as stack:
        connection = await connect(settings, "towpath-verify")
        stack.push_async_callback(connection.close)
        rows = await _read_model(settings, wanted, report, stack)
        states = TaskStates(rows_digest)
        stack.callback(states.close)
        one = _Pass(connection, wanted.exported, keys, report, states, with_rows=rows is not None)
        try:
            await one.over_log(progress)
            if rows is not None:
                await one.over_read_model(*rows, progress_of_rows or progress)
        except TooMany:
            report.notes.append("so much is wrong that the rest was not looked at")
        report.events, report.last_event_id = one.auditor.seq, one.auditor.event_id
        report.exported = one.compared()
    return report


def _keys(settings: Settings, wanted: VerifyOptions, report: VerifyReport) -> PublicKeys | None:
    """The keys that check signatures: the given ones, else this installation's, else the export's own."""
    if wanted.public_keys:
        return PublicKeys.of_texts(wanted.public_keys)
    own = settings.checkpoint_keys(make=False)
    if own:
        return parse_keys(own)[1]
    named = read_keys(wanted.exported) if wanted.exported is not None else None
    if named is not None:
        report.notes.append("signatures were judged by the keys that the exported file itself names")
        return named
    report.notes.append("signatures of checkpoints were not checked: no key is known; give --public-key")
    return None


async def _read_model(
    settings: Settings, wanted: VerifyOptions, report: VerifyReport, stack: AsyncExitStack
) -> tuple[AsyncEngine, int] | None:
    """The read model's engine and present position, if it is to be compared and exists."""
    if not wanted.read_model:
        return None
    if settings.database_url is None and not (settings.data_dir / "read-model.db").exists():
        report.notes.append(f"the read model was not compared: there is none in {settings.data_dir}")
        return None
    engine = open_database(settings.read_model_url)
    stack.push_async_callback(engine.dispose)
    try:
        async with at_one_position(engine) as (_, position):
            return engine, position
    except OtherReadModel:
        report.notes.append("the read model was not compared: it is of another version of Towpath")
    except (SQLAlchemyError, OSError) as error:
        trouble = trouble_of(error)
        why = trouble.detail if isinstance(trouble, DatabaseDamaged | DatabaseRefuses) else None
        report.notes.append(
            f"the read model was not compared: {why or f'it cannot be read ({type(error).__name__})'}"
        )
    return None


class _Pass:
    """The state of one verification."""

    def __init__(
        self,
        connection: Client,
        exported: Path | None,
        keys: PublicKeys | None,
        report: VerifyReport,
        states: TaskStates,
        *,
        with_rows: bool,
    ) -> None:
        self._log = RawLog(connection)
        self._checkpoints = JetStreamLogCheckpoints(connection)
        self._exported = exported
        self._keys = keys
        self._report = report
        self._states = states
        self.auditor = Auditor(report, states, with_rows=with_rows)
        self._checks: list[CheckpointCheck] = []

    async def over_log(self, progress: Progress) -> None:
        """Read the log to its present end, determined after the checkpoints' end, which cannot exceed it."""
        stored, last = await self._stored_checkpoints(), await self._log.last_seq()
        self._checks = [CheckpointCheck("stored", stored, self._keys, self._report, from_start=True)]
        if self._exported is not None:
            exported = read_checkpoints(self._exported)
            self._checks.append(
                CheckpointCheck(EXPORTED, exported, self._keys, self._report, from_start=False)
            )
        for check in self._checks:
            await check.open()
        await self._read(1, last, progress)
        self.auditor.end(last)
        for check in self._checks:
            check.finish(last)
        furthest = max(self._checks, key=lambda check: check.covered_upto)
        self._report.checkpoints, self._report.covered_upto = furthest.count, furthest.covered_upto

    def compared(self) -> Compared | None:
        """What was compared with the exported file, if one was given."""
        if self._exported is None:
            return None
        exported = next((one for one in self._checks if one.name == EXPORTED), None)
        first, last = (exported.numbers if exported else None) or (None, None)
        return Compared(
            str(self._exported),
            exported.count if exported else 0,
            first,
            last,
            exported.covered_upto if exported else 0,
            self.auditor.seq,
        )

    async def over_read_model(self, engine: AsyncEngine, before: int, progress: Progress) -> None:
        """Compare the read model; `before` was its position at the start."""
        last = self.auditor.seq
        if before > last:
            self._report.add(
                last + 1,
                "read-model",
                f"the log ends at sequence {last}, but the read model has seen {before}: the log lost its "
                "end, or the read model was made from another log",
            )
            return
        async with at_one_position(engine) as (connection, position):
            if position < last:
                self._report.notes.append(
                    f"the read model stands at {position}: what came later was not compared"
                )
            span = HeldInterval(min(position, last), last)
            await compare(connection, span, self._states, self._report, progress)

    async def _stored_checkpoints(self) -> AsyncIterator[LogCheckpoint]:
        """The checkpoints of the log's own stream, up to the present last one; reports missing ones."""
        try:
            ever, last = await self._checkpoints.ever(), await self._checkpoints.last()
        except CheckpointInvalid as error:
            invalid = error

            async def broken() -> AsyncIterator[LogCheckpoint]:
                raise invalid
                yield

            return broken()
        number = last.number if last else 0

        async def bounded() -> AsyncIterator[LogCheckpoint]:
            if number:
                async for checkpoint in self._checkpoints.read():
                    yield checkpoint
                    if checkpoint.number >= number:
                        break
            if number < ever:
                raise CheckpointInvalid(f"checkpoint {number + 1} is missing")

        return bounded()

    async def _read(self, first: int, last: int, progress: Progress) -> None:
        take, checks = self.auditor.take, self._checks
        async for batch in self._log.stretch(first, last):
            for message in batch:
                seq = message.seq
                for check in checks:
                    while 0 < check.next_end < seq:
                        await check.close_range(self.auditor.tree)
                leaf = take(message)
                for check in checks:
                    check.see(seq, leaf)
                    if seq == check.next_end:
                        await check.close_range(self.auditor.tree)
            progress(self.auditor.seq, last)
