"""Backup and restore against real servers: three replicas, and everything that must stop a restore."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from nats.aio.client import Client
from pydantic import SecretStr

from infra.backup.backup_and_restore import backup, restore
from infra.backup.errors import BackupError
from infra.config.settings import Settings
from infra.nats.embedded_server import EmbeddedNats
from infra.nats.streams import ensure_streams
from tests.integration.projections.harness import ProjectionHarness
from tests.support.nats import StartNats, api, connect, subjects
from tests.support.servers.cluster import Cluster

TASKS = 20


def quiet(*_: object) -> None:
    """Nobody looks."""


def settings_of(server: EmbeddedNats, data_dir: Path) -> Settings:
    return Settings(
        nats_url=server.url,
        nats_user=server.control.user,
        nats_password=SecretStr(server.control.password or ""),
        data_dir=data_dir,
    )


@pytest.fixture
async def kept(nats_server: EmbeddedNats, js_connection: Client, tmp_path: Path) -> Path:
    """A backup of a log with TASKS tasks."""
    async with ProjectionHarness(js_connection) as harness:
        await harness.register()
        for number in range(TASKS):
            await harness.dispatch(f"p{number}")
    directory = tmp_path / "kept"
    manifest = await backup(settings_of(nats_server, tmp_path / "data"), directory, quiet, quiet)
    assert manifest.key_ids == []
    return directory


async def log_of(connection: Client) -> list[tuple[object, ...]]:
    """Every event as it is stored."""
    last = (await api(connection, "STREAM.INFO.TOWPATH"))["state"]["last_seq"]
    found = []
    for seq in range(1, last + 1):
        message = (await api(connection, "STREAM.MSG.GET.TOWPATH", {"seq": seq}))["message"]
        found.append((message["seq"], message["subject"], message["hdrs"], message.get("data")))
    return found


async def test_three_replicas_get_the_same_log(
    kept: Path, js_connection: Client, nats_cluster: Cluster, tmp_path: Path
) -> None:
    target = Settings(nats_url=",".join(nats_cluster.urls), nats_replicas=3, data_dir=tmp_path / "other")
    await restore(target, kept, quiet, quiet)
    nc = await connect(nats_cluster.urls)
    info = await api(nc, "STREAM.INFO.TOWPATH")
    assert info["config"]["num_replicas"] == 3
    assert info["config"]["deny_delete"]
    assert await log_of(nc) == await log_of(js_connection)
    await ensure_streams(nc, 3)
    second = tmp_path / "second"
    await backup(target, second, quiet, quiet)
    assert (second / "manifest.json").exists()
    await nc.close()


async def test_a_stream_with_messages_is_never_overwritten(
    kept: Path, start_nats: StartNats, tmp_path: Path
) -> None:
    server = start_nats()
    nc = await connect(server.control_url)
    await ensure_streams(nc)
    await nc.jetstream().publish("towpath.dead.report.x", b"{}")
    with pytest.raises(BackupError, match=r"TOWPATH_DEAD at .* has held messages already"):
        await restore(settings_of(server, tmp_path / "other"), kept, quiet, quiet)
    assert await subjects(nc, "TOWPATH_DEAD") == {"towpath.dead.report.x": 1}
    await nc.close()


async def test_empty_streams_are_replaced_and_readers_stop_it(
    kept: Path, start_nats: StartNats, tmp_path: Path
) -> None:
    server = start_nats()
    nc = await connect(server.control_url)
    await ensure_streams(nc)
    target = settings_of(server, tmp_path / "other")
    consumer = {"stream_name": "TOWPATH", "config": {"durable_name": "x", "ack_policy": "explicit"}}
    await api(nc, "CONSUMER.DURABLE.CREATE.TOWPATH.x", consumer)
    with pytest.raises(BackupError, match="stop every process"):
        await restore(target, kept, quiet, quiet)
    await api(nc, "CONSUMER.DELETE.TOWPATH.x")
    await restore(target, kept, quiet, quiet)
    assert len(await log_of(nc)) > 0
    await nc.close()


def cut(directory: Path) -> None:
    path = directory / "TOWPATH.snapshot"
    path.write_bytes(path.read_bytes()[:-10])


def changed(directory: Path) -> None:
    path = directory / "TOWPATH.snapshot"
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(bytes(body))


def without_manifest(directory: Path) -> None:
    (directory / "manifest.json").unlink()


def half_a_manifest(directory: Path) -> None:
    path = directory / "manifest.json"
    path.write_text(path.read_text()[:100])


def of_another_format(directory: Path) -> None:
    path = directory / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))


def elsewhere(directory: Path) -> None:
    path = directory / "manifest.json"
    path.write_text(path.read_text().replace("TOWPATH.snapshot", "../TOWPATH.snapshot"))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (cut, "was changed or cut"),
        (changed, "was changed or cut"),
        (without_manifest, "holds no backup"),
        (half_a_manifest, "is damaged"),
        (of_another_format, "format 99"),
        (elsewhere, "outside of the backup"),
    ],
)
async def test_a_damaged_backup_is_refused_before_anything_is_made(
    kept: Path, start_nats: StartNats, tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    damage(kept)
    server = start_nats()
    with pytest.raises(BackupError, match=says):
        await restore(settings_of(server, tmp_path / "other"), kept, quiet, quiet)
    nc = await connect(server.control_url)
    assert (await api(nc, "STREAM.NAMES")).get("streams") is None
    await nc.close()


async def test_a_log_that_does_not_verify_leaves_nothing_behind(
    nats_server: EmbeddedNats, js_connection: Client, start_nats: StartNats, tmp_path: Path
) -> None:
    async with ProjectionHarness(js_connection) as harness:
        await harness.register()
    headers = {"ce-specversion": "1.0", "ce-type": "towpath.task.paused.v1"}
    await js_connection.jetstream().publish("towpath.append.task.t.paused", b"{}", headers=headers)
    await backup(settings_of(nats_server, tmp_path / "data"), tmp_path / "kept", quiet, quiet)
    server = start_nats()
    with pytest.raises(BackupError, match="does not verify, at 2"):
        await restore(settings_of(server, tmp_path / "other"), tmp_path / "kept", quiet, quiet)
    nc = await connect(server.control_url)
    assert "TOWPATH" not in ((await api(nc, "STREAM.NAMES")).get("streams") or [])
    await nc.close()


async def test_a_missing_secret_key_is_said(
    nats_server: EmbeddedNats, js_connection: Client, start_nats: StartNats, tmp_path: Path
) -> None:
    settings = settings_of(nats_server, tmp_path / "data")
    settings.secret_keys()
    manifest = await backup(settings, tmp_path / "kept", quiet, quiet)
    said: list[str] = []
    await restore(settings_of(start_nats(), tmp_path / "other"), tmp_path / "kept", quiet, said.append)
    assert any(manifest.key_ids[0] in one and "TOWPATH_SECRET_KEY" in one for one in said)
    assert not (tmp_path / "other" / "secret-key").exists()
