"""The README: its example runs and prints what it promises, and it names every setting."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eventsourcing_nats import NatsFactory
from infra.nats.binary import dying_with_parent, find_nats_server
from tests.support.documents.readme import blocks, console
from tests.support.ports import free_port
from tests.support.servers.cluster import cluster_ready

README = Path(__file__).parents[1] / "README.md"
HEADING = "An application on NATS"
README_PORT = "4333"


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[str]:
    """A server started with the README's command, on a free port."""
    (command,) = console(README, HEADING)
    free = str(free_port())
    name, *arguments = shlex.split(command.removesuffix("&").replace(README_PORT, free))
    assert name == "nats-server"
    process = subprocess.Popen(
        [*dying_with_parent(), str(find_nats_server()), *arguments],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await cluster_ready([f"nats://127.0.0.1:{free}"])
        yield free
    finally:
        process.kill()
        process.wait()


async def test_the_example_prints_what_the_readme_promises(port: str, tmp_path: Path) -> None:
    (block,) = [one for one in blocks(README) if one.heading == HEADING and one.language == "python"]
    (tmp_path / "shop.py").write_text(block.text.replace(README_PORT, port))
    for first in (1, 3):  # what the first run has stored is there in the second
        done = subprocess.run(
            [sys.executable, "shop.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stderr == ""
        said = done.stdout.splitlines()
        assert said[0] == "True"
        expected = ["__main__:Order.Placed", "__main__:Order.Paid"] * (first // 2 + 1)
        assert said[1:] == [f"{number} {topic}" for number, topic in enumerate(expected, start=1)]


def test_the_readme_names_every_setting() -> None:
    page = README.read_text()
    settings = [value for name, value in vars(NatsFactory).items() if name.isupper()] + ["NATS_PASSWORD"]
    assert len(settings) >= 8
    assert [setting for setting in settings if f"`{setting}`" not in page] == []
