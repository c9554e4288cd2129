"""Which client is made, by setting and version."""

from __future__ import annotations

import re
import tomllib

import pytest

from adapters.nats import client
from adapters.nats.client import READ_VERSIONS, Kind, Tappable, new_client
from tests.support.repository import REPO


@pytest.mark.parametrize(
    ("kind", "version", "fast"),
    [
        ("auto", READ_VERSIONS[0], True),
        ("auto", "2.16.1", False),
        ("auto", "3.0.0", False),
        ("plain", READ_VERSIONS[0], False),
        ("fast", "3.0.0", True),
    ],
)
def test_the_fast_client_is_for_the_versions_that_were_read(
    monkeypatch: pytest.MonkeyPatch, kind: Kind, version: str, fast: bool
) -> None:
    monkeypatch.setattr(client, "installed_version", lambda: version)
    assert isinstance(new_client(kind), Tappable) == fast


def test_what_is_installed_gets_the_fast_client() -> None:
    assert client.installed_version() in READ_VERSIONS, "read its source, then add it to READ_VERSIONS"


def test_libraries_whose_insides_are_used_are_bounded_above() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    bounded = {re.split(r"[\[<>=]", one)[0] for one in project["dependencies"] if "<" in one}
    assert bounded >= {"aiosqlite", "httptools", "nats-py", "uvicorn"}
