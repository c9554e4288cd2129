"""`towpath backup` and `towpath restore`: the streams that cannot be rebuilt.

Included: the log with its sequences, the checkpoints, the dead letters, audit records, reports that the API
has not taken yet, and each runner's last heartbeat: without it, a lost runner would look like one that never
sent any. Not included: submissions and timers, which dispatch makes again (after a restore it begins at the
start of the log); the read model, which is a replay; secrets. Each stream is saved before those that it
refers to: a report saved after it was applied is redelivered and stale, while one that is missed in between
would be lost.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from adapters.crypto.checkpoint_keys import PublicKeys
from adapters.crypto.env_encryption import AesGcmEnvCipher
from adapters.read_model.database import create_tables, open_database
from adapters.read_model.store import SqlReadModel
from domain.protocol import CONTRACT_VERSION, rfc3339
from domain.subjects import Stream
from infra.audit.verification import VerifyOptions, verify
from infra.backup.errors import BackupError
from infra.backup.manifest import FORMAT, Manifest, read, write
from infra.backup.snapshot import ask, checked, put_back, take
from infra.config.settings import Settings
from infra.nats.connection import NatsUnavailable, connect, server_version, shown_urls
from infra.nats.embedded_server import EmbeddedNats
from infra.nats.stream_definitions import stream_definitions
from infra.nats.streams import ensure_streams
from infra.plural import counted

KEPT = (Stream.REPORT, Stream.RUNNER, Stream.AUDIT, Stream.CHECKPOINT, Stream.DEAD, Stream.LOG)
_NOT_FOUND = 10059
Progress = Callable[[int, int], None]
Words = Callable[[str], None]


async def backup(settings: Settings, directory: Path, progress: Progress, say: Words) -> Manifest:
    """Write a backup to `directory`, which must be new or empty; the streams stay in use meanwhile.

    Raises:
        BackupError, NatsUnavailable: the backup is incomplete and has no manifest.
    """
    _check_empty(directory)
    async with _connected(settings, say) as (connection, settings):
        _make_private(directory)
        archives = []
        for stream in KEPT:
            say(f"taking {stream}")
            archives.append(await take(connection, stream, directory / f"{stream}.snapshot", progress))
        manifest = Manifest(
            format=FORMAT,
            towpath=version("towpath"),
            contract=CONTRACT_VERSION,
            nats_server=server_version(connection) or "unknown",
            made_at=rfc3339(datetime.now(UTC)),
            key_ids=_key_ids(settings),
            streams=archives,
        )
    write(directory, manifest)
    return manifest


def _check_empty(directory: Path) -> None:
    """Check the directory before anything is written."""
    if directory.exists() and any(directory.iterdir()):
        raise BackupError(f"{directory} is not empty: give a new directory, so that no older backup is lost")


def _make_private(directory: Path) -> None:
    """Set mode 0700: the backup holds tokens of reports."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)


def _key_ids(settings: Settings) -> list[str]:
    """Names of the secret keys in use; makes none."""
    if settings.secret_key is None and not (settings.data_dir / "secret-key").exists():
        return []
    return AesGcmEnvCipher(*settings.secret_keys()).key_ids


async def restore(
    settings: Settings,
    directory: Path,
    progress: Progress,
    say: Words,
    public_keys: Sequence[str] = (),
) -> Manifest:
    """Make the streams again from the backup in `directory`, verify the log, and empty the read model.

    Checkpoints are checked with `public_keys`, if any are given.

    Raises:
        BackupError: the backup is damaged, something would be overwritten, or the restored log does not
        verify; then no stream is left behind.
    """
    try:
        PublicKeys.of_texts(public_keys)
    except ValueError as error:
        raise BackupError(f"--public-key: {error}") from None
    manifest = read(directory)
    async with _connected(settings, say) as (connection, settings):
        await _refuse_to_overwrite(connection, shown_urls(settings))
        made: list[str] = []
        try:
            for archive in manifest.streams:
                await _delete(connection, archive.stream)
                say(f"restoring {archive.stream}: {counted(archive.messages, 'message')}")
                made.append(archive.stream)
                path = directory / archive.file
                await put_back(connection, archive, path, settings.nats_replicas, progress)
            await ensure_streams(connection, settings.nats_replicas)
            await _verify(connection, settings, manifest, progress, say, public_keys)
        except BaseException:
            for stream in made:
                await _delete(connection, stream)
            raise
    await _empty_read_model(settings, say)
    _say_key(settings, manifest, say)
    return manifest


async def _refuse_to_overwrite(connection: Client, where: str) -> None:
    """Refuse if streams exist or a process runs: its caches would be of another log."""
    for definition in stream_definitions():
        answer = await _info(connection, definition.name)
        if answer is None:
            continue
        state = answer["state"]
        if state["messages"] or state["last_seq"]:
            raise BackupError(
                f"stream {definition.name} at {where} has held messages already, and nothing is overwritten: "
                "if that server is another directory's, stop it, or leave --nats-port and --nats-url out; "
                "else restore into a new --data-dir, or a NATS account without Towpath's streams"
            )
        if state["consumer_count"]:
            raise BackupError(
                f"somebody reads stream {definition.name}: stop every process of Towpath first, and restore "
                "into a new --data-dir, or a NATS account without Towpath's streams"
            )


async def _info(connection: Client, stream: str) -> dict[str, Any] | None:
    answer = json.loads((await connection.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=10)).data)
    error = answer.get("error")
    if error and error.get("err_code") == _NOT_FOUND:
        return None
    found: dict[str, Any] = checked(answer, stream)
    return found


async def _delete(connection: Client, stream: str) -> None:
    """Remove an existing stream; callers know that it is empty or that they made it."""
    if await _info(connection, stream) is not None:
        await ask(connection, f"STREAM.DELETE.{stream}", {})


async def _verify(
    connection: Client,
    settings: Settings,
    manifest: Manifest,
    progress: Progress,
    say: Words,
    public_keys: Sequence[str],
) -> None:
    for archive in manifest.streams:
        found = await _info(connection, archive.stream)
        state = found["state"] if found else {"messages": 0, "last_seq": 0}
        if (state["messages"], state["last_seq"]) != (archive.messages, archive.last_seq):
            raise BackupError(
                f"{archive.stream} came back with {state['messages']} messages up to {state['last_seq']}, "
                f"but the backup says {archive.messages} up to {archive.last_seq}: take another backup"
            )
    say("verifying the log")
    report = await verify(settings, VerifyOptions(None, public_keys, read_model=False), progress)
    for note in report.notes:
        say(note)
    if report.first is not None:
        raise BackupError(f"the restored log does not verify, at {report.first.seq}: {report.first.sentence}")
    say(f"the log is whole: {report.events} events")


async def _empty_read_model(settings: Settings, say: Words) -> None:
    """Empty the read model, if it exists: it was made from another log."""
    if settings.database_url is None and not (settings.data_dir / "read-model.db").exists():
        return
    engine = open_database(settings.read_model_url)
    try:
        await create_tables(engine)
        await SqlReadModel(engine).reset()
    finally:
        await engine.dispose()
    say("the read model was emptied; a projector fills it again")


def _say_key(settings: Settings, manifest: Manifest, say: Words) -> None:
    missing = sorted(set(manifest.key_ids) - set(_key_ids(settings)))
    if missing:
        say(
            f"the secret key {', '.join(missing)} of the backed-up installation is not here: put its "
            f"secret-key file into {settings.data_dir}, or set TOWPATH_SECRET_KEY, before you start; without "
            "it attempts with env values end as submit-failed, and runners' attempt tokens are refused"
        )


@asynccontextmanager
async def _connected(settings: Settings, say: Words) -> AsyncIterator[tuple[Client, Settings]]:
    """A connection to the configured or running NATS; else starts the embedded one on the data directory.

    Never uses the default port: another installation may listen there.
    """
    server: EmbeddedNats | None = None
    try:
        try:
            if settings.model_fields_set.isdisjoint(("nats_url", "nats_port")):
                raise NatsUnavailable
            connection = await connect(settings, "towpath-backup")
        except NatsUnavailable:
            if settings.nats_url is not None:
                raise
            server = EmbeddedNats(settings.data_dir, 0, sync_interval=settings.nats_sync_interval)
            server.start()
            say(f"NATS is not running: started on {settings.data_dir} for this command")
            settings = settings.model_copy(update={"nats_port": int(server.url.rpartition(":")[2])})
            connection = await connect(settings, "towpath-backup")
        try:
            yield connection, settings
        finally:
            await connection.close()
    finally:
        if server is not None:
            server.stop()
