"""One real `towpath up` for all tests, and each test with both clients."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from both_clients import CLIENTS, opened
from tests.support.towpath import Home, Up, running_up


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A running Towpath without tokens."""
    with running_up(tmp_path_factory.mktemp("up")) as up:
        yield up


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


@pytest.fixture(scope="session")
def strict_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A running Towpath with tokens, whose leases are short."""
    settings = {
        "TOWPATH_API_TOKENS": "operator:wonderland-of-operators,viewer:looking-glass-of-viewers",
        "TOWPATH_LEASE_SECONDS": "4",
        "API_RUNNER_CALLBACK_TOKEN": "drink-me-of-runners",
    }
    with running_up(tmp_path_factory.mktemp("strict"), **settings) as up:
        yield up


@pytest.fixture
def new_workspace() -> Callable[..., str]:
    """Registers a workspace of the test's own."""

    def register(up: Up, **headers: str) -> str:
        name = f"shop-{next(_names)}"
        root = up.home.path / name
        root.mkdir()
        answer = httpx.put(
            f"{up.url}/workspaces/{name}", json={"root": str(root)}, headers=headers, timeout=30
        )
        assert answer.is_success, answer.text
        return name

    return register


@pytest.fixture
def workspace(new_workspace: Callable[..., str], up: Up) -> str:
    """A registered workspace."""
    return new_workspace(up)


_names = itertools.count()
