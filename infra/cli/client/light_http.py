"""Single requests of the commands to an API on plain HTTP: importing httpx takes longer than they do.

What it does not know (TLS, proxies, passwords in URLs, hosts in other scripts) is left to httpx.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from infra.lock.connection import Connection, quoted

MAX_PORT = 65535
_HOST = r"\[[0-9A-Fa-f:]+\]|[A-Za-z0-9][A-Za-z0-9.-]*"
_URL = re.compile(rf"http://(?:{_HOST})(?::(?P<port>[1-9][0-9]{{0,4}}))?(?:/[A-Za-z0-9._~/-]*)?")


class Response(NamedTuple):
    """A whole response; names of fields in lower case."""

    status: int
    fields: Mapping[str, str]
    content: bytes


class NotConnected(Exception):
    """No connection could be opened, so nothing was sent."""


class LightHttp:
    """One API; keeps its connections open, one for each request at the same time, from whichever thread."""

    def __init__(self, url: str, headers: dict[str, str], most: int) -> None:
        self._new = partial(Connection, url, headers, most)
        self._idle: list[Connection] = []

    def request(
        self, method: str, path: str, body: dict[str, Any] | None, params: Mapping[str, Any], seconds: float
    ) -> Response:
        """The response within `seconds`. Raises NotConnected, and what `Connection.answer` raises."""
        connection = self._connection()
        try:
            connection.open(seconds)
        except OSError as error:
            raise NotConnected from error
        try:
            connection.send(method, path + _query(params), body, seconds)
            status, content = connection.answer(time.monotonic() + seconds)
        except BaseException:
            connection.close()  # what was not read belongs to no other request
            raise
        self._idle.append(connection)
        return Response(status, connection.fields, content)

    def close(self) -> None:
        """Close the connections."""
        while self._idle:
            self._idle.pop().close()

    def _connection(self) -> Connection:
        try:
            found = self._idle.pop()
        except IndexError:
            return self._new()
        if found.was_closed:
            found.close()
        return found


def light_client(url: str, headers: dict[str, str], most: int, *, trust_env: bool) -> LightHttp | None:
    """A client for `url`, or None where httpx is needed. `trust_env`: use the proxies of the environment."""
    proxied = trust_env and any(name.lower().endswith("_proxy") for name in os.environ)
    sendable = all(value.isascii() and value.isprintable() for value in headers.values())
    return LightHttp(url, headers, most) if is_plain(url) and sendable and not proxied else None


def is_plain(url: str) -> bool:
    """Whether all its parts are understood here as by every client."""
    found = _URL.fullmatch(url)
    return found is not None and int(found["port"] or 80) <= MAX_PORT


def _query(params: Mapping[str, Any]) -> str:
    found = "&".join(f"{quoted(name)}={quoted(text)}" for name, text in _pairs(params))
    return f"?{found}" if found else ""


def _pairs(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in params.items():
        for one in value if isinstance(value, list | tuple) else (value,):
            yield name, str(one).lower() if isinstance(one, bool) else str(one)
