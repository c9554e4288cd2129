"""One real `towpath up` for all tests, and each test with both clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from both_clients import CLIENTS, opened
from tests.support.towpath import Home, Up


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A running Towpath without tokens."""
    home = Home(tmp_path_factory.mktemp("up"))
    up = home.up()
    yield up
    assert up.server.interrupt() == 0
    left = home.processes()
    home.close()
    assert left == []


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """An empty home for a server of a test's own."""
    home = Home(tmp_path_factory.mktemp("home"))
    yield home
    home.close()


@pytest.fixture(params=list(CLIENTS))
def kind(request: pytest.FixtureRequest) -> str:
    """Which client."""
    return str(request.param)


@pytest.fixture
def client(kind: str, up: Up) -> Iterator[Any]:
    """A client of the running Towpath; async ones block, too."""
    yield from opened(kind, up.url)
