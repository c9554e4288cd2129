"""Directories may be called anything: what they are called is written into no syntax without its escapes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra.config.private_files import write_private
from infra.config.settings import load_settings
from infra.nats.connection import connect as connect_nats
from infra.nats.connection import shown_urls
from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import connect
from tests.support.towpath import DEADLINE, Home

NAMES = [
    "d\u00e4t",
    "pct%41%zz",
    "two words ",
    "\"double\" 'single' `back`",
    "q?mode=memory&x=#h",
    "$HOME ${PATH} $(id)",
    "{brace} [bracket] (round)",
    "a;b|c&d<e>f*g!h~i^j",
    "new\nline\ttab\rreturn",
    "back\\slash\\x41\\n",
    "-dash",
    "dot.",
    "...",
    "\u0001\u001b[31m\u007f",
    "\u202eright-to-left\U0001f6a2",
    "colon:comma,equals=",
    "x" * 200,
    os.fsdecode(b"\xff\xfe latin \xe4"),
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_the_embedded_server_starts_in_it(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    server = EmbeddedNats(directory, 0)
    server.start()
    try:
        assert (directory / "nats" / "jetstream").is_dir()
        assert {one.name for one in tmp_path.iterdir()} == {name}
        for path in ("nats-password", "nats-runner-password"):
            (directory / path).write_text(f'p\u00e4 {name.splitlines()[0][:20]!r}"$x\\', errors="replace")
        server.stop()
        server.start()
        connection = await connect(server.url, user="towpath", password=server.control.password)
        await connection.close()
    finally:
        server.stop()


async def test_everything_works_below_it(tmp_path: Path) -> None:
    name = "d\u00e4t\n\"%41?#$x' {;\\"
    below = tmp_path / name
    below.mkdir()
    home = Home(below)
    try:
        root = below / f"root {name}"
        root.mkdir()
        where = ("--data-dir", f"data {name}", "--root", root)
        server = home.start("up", "--port", "0", "--nats-port", "0", *where)
        url = next(line.split()[1] for line in server.said_until("ready") if line.startswith("API"))
        assert {one.name for one in below.iterdir()} >= {f"data {name}", f"root {name}"}
        assert (below / f"data {name}" / "read-model.db").exists()
        added = home.run("workspaces", "add", "shop", root, TOWPATH_URL=url)
        assert added.returncode == 0, added.stderr
        done = home.run("run", "-w", "shop", "--", "sh", "-c", "pwd > here", TOWPATH_URL=url)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (root / "here").read_text() == f"{root}\n"
        assert server.interrupt() == 0
        assert home.processes() == []
    finally:
        home.close()


def test_a_directory_whose_name_is_not_utf_8_is_refused_at_once(tmp_path: Path) -> None:
    below = tmp_path / os.fsdecode(b"l\xe4tin")
    below.mkdir()
    home = Home(below)
    server = home.start("up", "--port", "0", "--nats-port", "0")
    assert server.process.wait(DEADLINE) == 2
    assert "TOWPATH_DATA_DIR" in server.words
    assert "is not UTF-8" in server.words
    assert list(below.glob(".*")) == []
    home.close()


@pytest.mark.parametrize("user", ["p%40ss", "w\u00f6rd", "a/b#c?d", "q'\"u\\o", "x y:z"])
async def test_a_password_in_a_nats_url_is_unquoted(tmp_path: Path, user: str) -> None:
    server = EmbeddedNats(tmp_path, 0)
    write_private(tmp_path / "nats-password", f"p{user}")
    server.start()
    try:
        assert server.control.password == f"p{user}"
        settings = load_settings(nats_url=server.control_url, data_dir=tmp_path / "other")
        connection = await connect_nats(settings, "test")
        await connection.close()
        assert f"p{user}" not in shown_urls(settings)
    finally:
        server.stop()
