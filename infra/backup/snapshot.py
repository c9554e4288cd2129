"""Archives of one stream with its sequences (JetStream's "snapshots"): taken while it runs, and restored.

The stream's leader takes the snapshot while the stream stays in use. It arrives in chunks; the server waits
for acknowledgements before it sends many more. A restore makes the stream again from such an archive, on one
or several replicas. Neither needs the server's files.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from infra.backup.errors import BackupError
from infra.backup.manifest import StreamArchive
from infra.config.private_files import create_private

CHUNK_BYTES = 128 * 1024
SILENT_SECONDS = 30.0
ASK_SECONDS = 10.0
AGAIN_SECONDS = 0.1
Progress = Callable[[int, int], None]


async def take(connection: Client, stream: str, path: Path, progress: Progress) -> StreamArchive:
    """Write a snapshot of `stream`, without its consumers, to `path` (mode 0600).

    Raises:
        BackupError: the server refused, or stopped responding.
    """
    inbox = connection.new_inbox()
    chunks: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await connection.subscribe(inbox, cb=chunks.put)
    try:
        wanted = {"deliver_subject": inbox, "no_consumers": True, "chunk_size": CHUNK_BYTES, "jsck": True}
        answer = await ask(connection, f"STREAM.SNAPSHOT.{stream}", wanted)
        digest, size = await _receive(
            connection, stream, chunks, path, int(answer["state"]["bytes"]), progress
        )
    finally:
        await subscription.unsubscribe()
    return StreamArchive(
        stream=stream,
        file=path.name,
        bytes=size,
        sha256=digest,
        config=answer["config"],
        state=answer["state"],
    )


async def _receive(
    connection: Client, stream: str, chunks: asyncio.Queue[Msg], path: Path, expected: int, progress: Progress
) -> tuple[str, int]:
    """Write chunks until the empty last one; returns digest and size of the written file."""
    digest, size = hashlib.sha256(), 0
    with os.fdopen(create_private(path), "wb") as file:
        while True:
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    chunk = await chunks.get()
            except TimeoutError as error:
                raise BackupError(
                    f"the snapshot of {stream} stopped after {size} bytes: is NATS still up? Try again"
                ) from error
            if not chunk.data:
                _check_end(stream, chunk)
                file.flush()
                os.fsync(file.fileno())
                return digest.hexdigest(), size
            file.write(chunk.data)
            digest.update(chunk.data)
            size += len(chunk.data)
            progress(min(size, expected), expected)
            if chunk.reply:
                await connection.publish(chunk.reply, b"")


def _check_end(stream: str, chunk: Msg) -> None:
    status = (chunk.headers or {}).get("Status", "204")
    if status != "204":
        said = (chunk.headers or {}).get("Description", "no reason given")
        raise BackupError(f"the server ended the snapshot of {stream} with {status}: {said}")


async def put_back(
    connection: Client, archive: StreamArchive, path: Path, replicas: int, progress: Progress
) -> None:
    """Make the stream again from its archive, with this number of replicas.

    Raises:
        BackupError: the stream exists already, or the server refused.
    """
    config = {**archive.config, "num_replicas": replicas}
    begun = await ask(
        connection, f"STREAM.RESTORE.{archive.stream}", {"config": config, "state": archive.state}
    )
    target, sent = begun["deliver_subject"], 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            await _send(connection, archive.stream, target, chunk)
            sent += len(chunk)
            progress(sent, archive.bytes)
    await _send(connection, archive.stream, target, b"")


async def _send(connection: Client, stream: str, target: str, chunk: bytes) -> dict[str, Any]:
    """Send one chunk; returns the answer. In a cluster our server may not know the receiver yet."""
    deadline = time.monotonic() + SILENT_SECONDS
    while True:
        try:
            answer = await connection.request(target, chunk, timeout=SILENT_SECONDS)
            break
        except nats.errors.NoRespondersError as error:  # so no server took it
            if time.monotonic() > deadline:
                raise _stopped(stream, error) from error
            await asyncio.sleep(AGAIN_SECONDS)
        except (nats.errors.Error, TimeoutError) as error:
            raise _stopped(stream, error) from error
    parsed: dict[str, Any] = json.loads(answer.data) if answer.data else {}
    return checked(parsed, stream)


def _stopped(stream: str, error: Exception) -> BackupError:
    return BackupError(f"the server stopped taking {stream}: {error!r}; try again")


async def ask(connection: Client, verb: str, body: object) -> dict[str, Any]:
    """The response of `$JS.API.<verb>`; BackupError if it is an error."""
    try:
        answer = await connection.request(f"$JS.API.{verb}", json.dumps(body).encode(), timeout=ASK_SECONDS)
    except (nats.errors.Error, TimeoutError) as error:
        raise BackupError(
            f"NATS does not answer ({error!r}): is it up, and is this the control plane's user?"
        ) from error
    parsed: dict[str, Any] = json.loads(answer.data)
    return checked(parsed, verb)


def checked(answer: dict[str, Any], what: str) -> dict[str, Any]:
    """`answer`, or BackupError with the server's message."""
    error = answer.get("error")
    if error:
        raise BackupError(f"{what}: the server refused: {error.get('description')} ({error.get('err_code')})")
    return answer
