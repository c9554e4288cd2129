"""Exports signed checkpoints: as a list, or as a file to be kept elsewhere."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import IO, Any

import orjson

from adapters.crypto.checkpoint_keys import public_texts
from adapters.event_store.checkpoints import JetStreamLogCheckpoints
from domain.evidence.checkpoint import export_head
from infra.config.private_files import create_private
from infra.config.settings import Settings
from infra.nats.connection import connect


def stored_checkpoints(settings: Settings) -> list[dict[str, Any]]:
    """All checkpoints without their prints, which are long."""

    async def read() -> list[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            connection = await connect(settings, "towpath-checkpoints")
            stack.push_async_callback(connection.close)
            found = [one.as_json() async for one in JetStreamLogCheckpoints(connection).read()]
        return [{name: value for name, value in one.items() if name != "prints"} for one in found]

    return asyncio.run(read())


def export_checkpoints(settings: Settings, path: Path, after: int) -> tuple[int, int]:
    """Write checkpoints after number `after` to `path` (`-`: stdout); returns their count and last sequence.

    The file is written atomically.
    """
    if str(path) == "-":
        return asyncio.run(_write(settings, sys.stdout.buffer, after))
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(create_private(draft, os.O_WRONLY | os.O_TRUNC), "wb") as file:
            written = asyncio.run(_write(settings, file, after))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return written


async def _write(settings: Settings, file: IO[bytes], after: int) -> tuple[int, int]:
    keys = public_texts(settings.checkpoint_keys(make=False))
    count, upto = 0, 0
    async with AsyncExitStack() as stack:
        connection = await connect(settings, "towpath-checkpoints")
        stack.push_async_callback(connection.close)
        file.write(orjson.dumps(export_head(keys)) + b"\n")
        async for checkpoint in JetStreamLogCheckpoints(connection).read(after):
            file.write(checkpoint.encoded() + b"\n")
            count, upto = count + 1, checkpoint.last_seq
    file.flush()
    return count, upto
