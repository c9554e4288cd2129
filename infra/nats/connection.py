"""Connects to NATS with the options that appends rely on.

Nothing is buffered while disconnected (`pending_size=0`): a publish that failed must not be stored later. The
client reconnects without limit; if it is closed nevertheless, the process must end.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from nats.aio.client import Client
from nats.errors import NoServersError

from adapters.nats.client import new_client
from infra.config.settings import Settings

CONNECT_TIMEOUT_SECONDS = 10.0
_USER = re.compile("^([a-z]+://)?[^/]*@")
log = structlog.get_logger(__name__)


class NatsUnavailable(Exception):
    """NATS could not be reached at the start; the message says what to do."""


def connect_options(settings: Settings) -> dict[str, Any]:
    """Arguments of `nats.connect` for the control plane: servers, credentials, TLS and behaviour."""
    return {
        "servers": server_urls(settings),
        "pending_size": 0,
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": 0.25,
        "ping_interval": 5,
        "max_outstanding_pings": 2,
        "connect_timeout": 2,
        **identity(settings),
    }


def server_urls(settings: Settings) -> list[str]:
    """The servers to connect to, without users; by default the embedded one on this machine."""
    if settings.nats_url is None:
        return [f"nats://127.0.0.1:{settings.nats_port}"]
    return [_USER.sub(r"\1", url) for url in _given_urls(settings)]


def shown_urls(settings: Settings) -> str:
    """The servers, for messages."""
    return ", ".join(server_urls(settings))


def _given_urls(settings: Settings) -> list[str]:
    return [url.strip() for url in (settings.nats_url or "").split(",") if url.strip()]


def _user_in_urls(settings: Settings) -> dict[str, str]:
    """User and password of the first URL that has them, unquoted: the client would not do that."""
    for url in _given_urls(settings):
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        if parts.username is not None and parts.password is not None:
            return {"user": unquote(parts.username), "password": unquote(parts.password)}
        if parts.username is not None:
            return {"token": unquote(parts.username)}
    return {}


def identity(settings: Settings) -> dict[str, Any]:
    """Credentials and TLS only, for callers with their own options. NatsUnavailable: no CA."""
    return {**_credentials(settings), **_tls(settings)}


def _tls(settings: Settings) -> dict[str, ssl.SSLContext]:
    if settings.nats_ca is None:
        return {}
    try:
        return {"tls": ssl.create_default_context(cafile=str(settings.nats_ca))}
    except OSError as error:
        raise NatsUnavailable(f"TOWPATH_NATS_CA cannot be used: {error.strerror or error}") from None


def _credentials(settings: Settings) -> dict[str, str]:
    """User and password; for the embedded server the control plane's, from the data directory."""
    if settings.nats_user is not None and settings.nats_password is not None:
        return {"user": settings.nats_user, "password": settings.nats_password.get_secret_value()}
    password = settings.data_dir / "nats-password"
    if settings.nats_url is None and password.is_file():
        return {"user": "towpath", "password": _read(password)}
    return _user_in_urls(settings)


def _read(path: Path) -> str:
    return path.read_text().strip()


def server_version(connection: Client) -> str | None:
    """The version of the server that is connected now; None while disconnected."""
    if not connection.is_connected:
        return None
    found = connection.connected_server_version
    return f"{found.major}.{found.minor}.{found.patch}"


async def connect(
    settings: Settings, name: str, *, seconds: float = CONNECT_TIMEOUT_SECONDS, **overrides: Any
) -> Client:
    """A connected client; the server shows it as `name`.

    Raises:
        NatsUnavailable: no server answered within `seconds`.
    """
    said: list[Exception] = []

    async def on_error(error: Exception) -> None:
        if not (said and isinstance(error, ConnectionError)):  # a server that refuses may reset as well
            said[:] = [error]
        log.debug("nats", error=repr(error))

    client = new_client(settings.nats_client)
    options = {**connect_options(settings), "name": name, "error_cb": on_error, **overrides}
    try:
        # The client would never give up its first connection, so it is bounded here. The number of attempts
        # does not suffice: it does not count a rejected certificate.
        async with asyncio.timeout(seconds):
            await client.connect(**{**options, "max_reconnect_attempts": 2, "allow_reconnect": True})
    except Exception as error:
        with contextlib.suppress(Exception):
            await client.close()
        why = said[0] if said and isinstance(error, (TimeoutError, NoServersError)) else error
        words = str(why) or type(why).__name__
        raise NatsUnavailable(
            f"no NATS server answers at {shown_urls(settings)} ({words}). "
            "Start one with `towpath up`, or set TOWPATH_NATS_URL (and _USER, _PASSWORD, _CA)"
        ) from error
    client.options["max_reconnect_attempts"] = -1
    return client
