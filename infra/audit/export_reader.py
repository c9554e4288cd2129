"""Reads exported checkpoints: a JSON-lines file kept where the log's operators cannot change it.

The first line names the public keys, every further line is a signed checkpoint. A file without the first
line, such as an excerpt, is accepted too and names no key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

import orjson

from adapters.crypto.checkpoint_keys import PublicKeys
from domain.evidence.checkpoint import EXPORT_FORMAT, EXPORT_VERSION, CheckpointInvalid, LogCheckpoint


class NotAnExport(ValueError):
    """The file is no export of checkpoints; the message says why."""


def read_keys(path: Path) -> PublicKeys | None:
    """The public keys that the file names; None if it names none. Raises NotAnExport, OSError."""
    with path.open("rb") as file:
        return _keys(file)


async def read_checkpoints(path: Path) -> AsyncIterator[LogCheckpoint]:
    """Yields one checkpoint at a time. Raises CheckpointInvalid for a line that is none."""
    with path.open("rb") as file:
        first = 1 if _keys(file) is None else 2
        for number, line in enumerate(file, start=first):
            if line.strip():
                try:
                    yield LogCheckpoint.of(orjson.loads(line))
                except ValueError as error:
                    raise CheckpointInvalid(f"line {number} of {path} is no checkpoint: {error}") from error


def _keys(file: IO[bytes]) -> PublicKeys | None:
    """Read the keys from the first line; None, with nothing consumed, if that line is a checkpoint."""
    try:
        first = orjson.loads(file.readline())
        if "format" not in first and "signature" in first:
            file.seek(0)
            return None
        if first["format"] != EXPORT_FORMAT or first["version"] != EXPORT_VERSION:
            raise NotAnExport(f"{file.name} has another format or version")
        return PublicKeys.of_texts(first["public_keys"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, NotAnExport):
            raise
        raise NotAnExport(
            f"{file.name} is not what `towpath checkpoint export` writes, nor lines of it"
        ) from error
