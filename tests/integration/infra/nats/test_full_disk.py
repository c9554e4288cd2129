"""What nats-server does on a full disk: the facts that the log's reserve stands on.

A disk can only be filled where this process may mount one; elsewhere these facts are taken as measured.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import nats.errors
import pytest
from nats.aio.client import Client

from infra.nats.embedded_server import EmbeddedNats
from infra.nats.streams import ensure_streams
from tests.support.nats import api, append, connect
from tests.support.small_disk import fill, may_mount, small_disk


async def fill_log(nc: Client) -> int:
    """How many appends were acknowledged before the first that was not."""
    stored = 0
    with contextlib.suppress(nats.errors.Error):
        while True:
            await append(nc, f"T{stored}", "created", 0, b"x" * 8000)
            stored += 1
    return stored


if may_mount():

    async def test_a_stream_that_met_a_full_disk_is_silent_until_a_restart_and_loses_nothing(
        tmp_path: Path,
    ) -> None:
        with small_disk(tmp_path / "disk", 64) as disk:
            server = EmbeddedNats(disk, port=0)
            server.start()
            nc = await connect(server.control_url)
            await ensure_streams(nc)
            junk = fill(disk, 256 * 1024)
            stored = await fill_log(nc)
            assert stored
            junk.unlink()
            with pytest.raises(nats.errors.Error):
                await append(nc, "after", "created", 0)
            assert (await api(nc, "STREAM.INFO.TOWPATH"))["state"]["messages"] == stored
            await nc.close()
            server.stop()
            server.start()
            nc = await connect(server.control_url)
            assert (await append(nc, "again", "created", 0)).seq == stored + 1
            await nc.close()
            server.stop()


async def test_the_embedded_servers_limit_does_not_shrink_with_what_it_stores(tmp_path: Path) -> None:
    """The default, three quarters of what is free at a start, would refuse a log of half the disk."""
    server = EmbeddedNats(tmp_path / "nats", port=0)
    server.start()
    written = (tmp_path / "nats" / "nats-server.conf").read_text()
    server.stop()
    size = int(written.partition("max_file_store: ")[2].split()[0])
    assert size >= 1 << 30
