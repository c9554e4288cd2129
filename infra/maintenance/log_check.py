"""Checks the log before a start: nothing starts on a damaged or replaced log.

nats-server skips what it cannot read, so a damaged block looks like missing events or a shorter log. The
check compares the stream's own count and ends with the last signed checkpoint and the positions of the read
model and of the folds beside it: a few requests. Then it reads the newest events, at least NEWEST and back to
the start of the last checkpoint, and compares them with it. `towpath verify` reads everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from nats.aio.client import Client
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.event_store.checkpoints import JetStreamLogCheckpoints
from adapters.event_store.reading.log_reader import JetStreamLogReader
from adapters.event_store.reading.raw_reader import RawLog
from adapters.nats.jetstream_api import JetStreamApi, StreamMissing
from adapters.read_model.database import open_database
from adapters.read_model.store import SqlReadModel
from adapters.read_model.tables import snapshots
from domain.errors import Busy
from domain.evidence.checkpoint import PRINT_BYTES, CheckpointInvalid, LogCheckpoint
from domain.evidence.merkle import leaf_hash, root_of
from domain.identifiers import LogSeq
from domain.log.position import Position
from domain.subjects import Stream
from infra.config.settings import Settings
from infra.nats.stream_definitions import stream_definitions
from infra.nats.streams import FORMING_PAUSE_SECONDS, FORMING_SECONDS
from projections.folding.log_head import end_of_log
from projections.read_model import NEW_LEADER_SECONDS

NEWEST = 20_000
NAMED = 3
_NOT_FOUND = 10059
_REMEDY = "nothing was started; run `towpath verify`, then `towpath restore` a backup into a new --data-dir"


class LogDamaged(Exception):
    """The log was damaged or replaced. `fault` says how; the message also says what to do."""

    def __init__(self, fault: str, remedy: str = _REMEDY) -> None:
        super().__init__(f"{fault}: {remedy}")
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Range:
    """Sequences from `first` to `last`."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"event {self.first}" if self.first == self.last else f"events {self.first} to {self.last}"


@dataclass(frozen=True, slots=True)
class Ends:
    """What the stream reports; `seen` is the highest sequence known elsewhere, `by` names its source."""

    messages: int
    first: int
    last: int
    lost: tuple[int, ...]
    """What the server could not read of its files when it started."""
    seen: int
    by: str


async def check_log(connection: Client, settings: Settings, store: Path | None = None) -> None:
    """Return if a cheap check finds the log whole.

    `store` is the embedded server's directory of streams; it silently skips a stream that it cannot read.

    Raises:
        LogDamaged: it is not whole.
        Busy: it does not answer.
    """
    if store is not None:
        await _check_read(connection, store)
    checkpoint = await _last_checkpoint(connection)
    applied, seen, by = await _seen(settings, checkpoint)  # read before the log, which may grow meanwhile
    state = await _state(connection, seen)
    if state.get("num_subjects", 0) > state["messages"]:
        raise LogDamaged("the log is damaged: nats-server could not read its files")
    lost = tuple((state.get("lost") or {}).get("msgs") or ())
    ends = Ends(state["messages"], state["first_seq"], state["last_seq"], lost, seen, by)
    gone = await _missing(connection, ends)
    if gone:
        raise _damage(gone, ends)
    await _check_same(connection, applied)
    await _check_newest(connection, ends.last, checkpoint)


async def check_patiently(connection: Client, settings: Settings, store: Path | None = None) -> None:
    """`check_log`, retried while a cluster's servers find each other; raises the last error."""
    deadline = asyncio.get_running_loop().time() + FORMING_SECONDS
    while True:
        try:
            return await check_log(connection, settings, store)
        except Busy:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(FORMING_PAUSE_SECONDS)


async def _check_read(connection: Client, store: Path) -> None:
    """Check that the server has loaded each of our streams that has files."""
    for definition in stream_definitions():
        if (store / definition.name).is_dir():
            answer = await connection.request(f"$JS.API.STREAM.INFO.{definition.name}", b"", timeout=10)
            if (orjson.loads(answer.data).get("error") or {}).get("err_code") == _NOT_FOUND:
                raise LogDamaged(
                    f"nats-server cannot read its stream {definition.name} in {store} (nats.log says why)"
                )


async def _state(connection: Client, seen: int) -> dict[str, Any]:
    """The stream's state; a leader just elected may need a moment to know what others have seen."""
    api = JetStreamApi(connection)
    try:
        info = await api.info()
        if info["state"]["last_seq"] < seen and info["config"].get("num_replicas", 1) > 1:
            await end_of_log(JetStreamLogReader(connection, api).last_seq, LogSeq(seen), NEW_LEADER_SECONDS)
            info = await api.info()
    except StreamMissing:
        return {"messages": 0, "first_seq": 0, "last_seq": 0}
    state: dict[str, Any] = info["state"]
    return state


async def _last_checkpoint(connection: Client) -> LogCheckpoint | None:
    log_checkpoints = JetStreamLogCheckpoints(connection)
    try:
        ever, last = await log_checkpoints.ever(), await log_checkpoints.last()
    except StreamMissing:
        return None
    except CheckpointInvalid as error:
        if isinstance(error.__cause__, StreamMissing):
            return None
        raise LogDamaged(f"the log's checkpoints are damaged ({error})") from error
    if (last.number if last else 0) < ever:
        raise LogDamaged(f"the log's checkpoints are damaged (checkpoint {ever} is missing)")
    return last


async def _seen(settings: Settings, checkpoint: LogCheckpoint | None) -> tuple[Position, int, str]:
    """The position of the read model; the highest sequence known outside the log, and its source."""
    seen, by = (checkpoint.last_seq, f"checkpoint {checkpoint.number}") if checkpoint else (0, "")
    if settings.database_url is None and not (settings.data_dir / "read-model.db").exists():
        return Position(0), seen, by
    engine = open_database(settings.read_model_url)
    try:
        applied, folded = await _positions(engine)
    except (SQLAlchemyError, Busy, OSError):
        return Position(0), seen, by  # it is unavailable or of another version: its users report that
    finally:
        await engine.dispose()
    for name, seq in (("the read model", applied.seq), ("the lock table", folded)):
        if seq > seen:
            seen, by = seq, name
    return applied, seen, by


async def _positions(engine: AsyncEngine) -> tuple[Position, int]:
    applied = await SqlReadModel(engine).stands_at()
    async with engine.connect() as connection:
        return applied, await connection.scalar(select(func.max(snapshots.c.seq))) or 0


async def _check_same(connection: Client, applied: Position) -> None:
    """Check that the event at the read model's position is the one that it applied."""
    if applied.event_id is None:
        return
    found = await JetStreamApi(connection).get(applied.seq)
    if found is not None and found.headers.get("ce-id") != applied.event_id:
        raise LogDamaged(
            f"the read model has applied another event {applied.seq} than stands in the log: the log was "
            "replaced, or restored from an older backup",
            "nothing was started; run `towpath replay --rebuild` first, and `towpath verify` if it was not "
            "replaced on purpose",
        )


async def _missing(connection: Client, ends: Ends) -> list[Range]:
    """The ranges that are missing by the stream's own figures, or by those who have seen more."""
    first, last = ends.first, max(ends.last, ends.seen, *ends.lost)
    if ends.messages == 0:
        return [Range(1, last)] if last else []
    gone = [*ranges(ends.lost)]
    if first > 1:
        gone.append(Range(1, first - 1))
    if ends.messages != ends.last - first + 1:
        gone += await _deleted(connection)
    if ends.seen > ends.last:
        gone.append(Range(ends.last + 1, ends.seen))
    return gone


async def _deleted(connection: Client) -> list[Range]:
    question = orjson.dumps({"deleted_details": True})
    answer = await connection.request(f"$JS.API.STREAM.INFO.{Stream.LOG}", question, timeout=10)
    return list(ranges(orjson.loads(answer.data)["state"].get("deleted") or ()))


def ranges(seqs: Iterable[int]) -> Iterable[Range]:
    """Group ascending sequences into ranges."""
    first = last = 0
    for seq in seqs:
        if seq != last + 1 and last:
            yield Range(first, last)
        if seq != last + 1 or not last:
            first = seq
        last = seq
    if last:
        yield Range(first, last)


async def _check_newest(connection: Client, last: int, checkpoint: LogCheckpoint | None) -> None:
    """Read the newest events: none may be missing, and they must match the last checkpoint."""
    first = max(1, last - NEWEST + 1)
    if checkpoint is not None:
        first = min(first, checkpoint.first_seq)
    leaves: list[bytes] = []
    gone: list[int] = []
    async for batch in RawLog(connection).stretch(first, last):
        for message in batch:
            expected = first + len(leaves)
            for seq in range(expected, message.seq):
                gone.append(seq)
                leaves.append(b"")
            lines = sorted(message.header_lines())
            leaves.append(leaf_hash(message.seq, message.subject, lines, message.data))
    gone += range(first + len(leaves), last + 1)
    if gone:
        raise _damage(list(ranges(gone)), None)
    if checkpoint is not None:
        start = checkpoint.first_seq - first
        _compare(checkpoint, leaves[start : checkpoint.last_seq - first + 1])


def _compare(checkpoint: LogCheckpoint, leaves: Sequence[bytes]) -> None:
    if root_of(leaves).hex() == checkpoint.root:
        return
    prints = checkpoint.leaf_prints()
    changed = [
        checkpoint.first_seq + at
        for at, (leaf, seen) in enumerate(zip(leaves, prints, strict=False))
        if leaf[:PRINT_BYTES] != seen
    ]
    where = ", ".join(map(str, list(ranges(changed))[:NAMED])) or (
        f"something between {checkpoint.first_seq} and {checkpoint.last_seq}"
    )
    raise LogDamaged(f"the log is damaged: {where} is not what checkpoint {checkpoint.number} saw there")


def _damage(gone: Sequence[Range], ends: Ends | None) -> LogDamaged:
    named = ", ".join(map(str, gone[:NAMED]))
    more = f" and {len(gone) - NAMED} more ranges" if len(gone) > NAMED else ""
    verb = "is" if len(gone) == 1 and gone[0].first == gone[0].last else "are"
    fault = f"the log is damaged: {named}{more} {verb} missing"
    if ends is None or ends.seen <= ends.last:
        return LogDamaged(fault)
    fault += f" (it ends at {ends.last}, but {ends.by} has seen {ends.seen})"
    if ends.by.startswith("checkpoint"):
        return LogDamaged(fault)
    return LogDamaged(fault, f"{_REMEDY}; if it was replaced on purpose, `towpath replay --rebuild` instead")
