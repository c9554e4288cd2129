"""Homes for the installed command: a fresh one per test, and one `towpath up` that gentle tests share.

Whatever they put on NATS must keep the published contract: each server has a listener
(`tests.support.observers.recorder`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import StartNats
from tests.support.observers.recorder import Recorder
from tests.support.towpath import Home, Up, running_up


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty home; whatever a test leaves running in it is ended."""
    home = Home(tmp_path)
    yield home
    home.close()


@pytest.fixture
def start_nats(start_nats: StartNats) -> Iterator[StartNats]:
    """The factory of all tests, with a listener beside each server."""
    recorders: list[Recorder] = []

    def start(**options: object) -> EmbeddedNats:
        server = start_nats(**options)
        recorders.append(Recorder(server.url, server.control.user, server.control.password or ""))
        return server

    yield start
    for recorder in recorders:
        recorder.close()


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A `towpath up` for tests that neither stop it nor look at what other tests did."""
    with running_up(tmp_path_factory.mktemp("up")) as up:
        yield up
