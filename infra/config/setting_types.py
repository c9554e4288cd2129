"""Types of settings: how a variable's text is parsed, and the error for an invalid value.

No error repeats the value: it may be a secret.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from domain.identifiers import Name
from domain.validation.token_rules import token_problem
from domain.validation.web_hosts import host_name

LogLevel = Literal["debug", "info", "warning", "error"]
MIN_SECRET_CHARS = 16
MIN_LOG_BYTES = 1 << 20
MAX_BYTES = 1 << 60
MAX_SYNC_SECONDS = 3600
_SIZE = re.compile(r"([0-9]+)\s*(?:([KMGT])(i?)B?|B)?")
_DURATION = re.compile(r"always|([1-9][0-9]{0,8})(ms|s|m|h)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def _split(separator: str) -> Callable[[Any], Any]:
    def split(given: Any) -> Any:
        if isinstance(given, str):
            return [part.strip() for part in given.split(separator) if part.strip()]
        return given

    return split


def _roots(given: Any) -> Any:
    """A colon inside a name would split one directory into two, the second one relative."""
    parts = _split(":")(given)
    if isinstance(given, str) and len(parts) > 1 and not all(part.startswith(("/", "~")) for part in parts):
        raise ValueError(
            "give absolute paths, separated by colons; one with a colon in its name is given with --root"
        )
    return parts


def _lower(given: Any) -> Any:
    return given.lower() if isinstance(given, str) else given


def _number(given: Any) -> Any:
    return int(given) if isinstance(given, str) and given.isdecimal() else given


def _http_url(given: str) -> str:
    """`given`, if a client can use it: checks every part, so that no request fails because of it later."""
    import httpx

    form = "give a URL such as http://127.0.0.1:8000"
    try:
        parts = urlsplit(given)
        httpx.URL(given)
        host = parts.hostname or ""
        host.rstrip(".").encode("idna")
        usable = parts.scheme in ("http", "https") and parts.port != 0
    except (ValueError, httpx.InvalidURL):
        raise ValueError(form) from None
    if not (usable and host and given.isprintable() and " " not in given):
        raise ValueError(form)
    if parts.query or parts.fragment:
        raise ValueError(f"{form}, without a query or a fragment")
    return given.rstrip("/")


def _nats_urls(given: str) -> str:
    """Servers separated by commas, each `host:port` or a URL of one of NATS' schemes."""
    for server in (part.strip() for part in given.split(",")):
        try:
            parts = urlsplit(server if "://" in server else f"nats://{server}")
            usable = parts.scheme in ("nats", "tls", "ws", "wss") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if server and not (usable and server.isascii() and server.isprintable() and " " not in server):
            raise ValueError("give URLs such as nats://127.0.0.1:4222, separated by commas")
    return given


_DATABASE_FORM = "give a URL such as postgresql://user:password@host/name or sqlite:////path/to/file"


def _database_url(given: str) -> str:
    try:
        scheme = urlsplit(given).scheme.partition("+")[0]
    except ValueError:
        scheme = ""
    if scheme not in ("sqlite", "postgresql", "postgres"):
        raise ValueError(_DATABASE_FORM)
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(given)
    except (ArgumentError, ValueError):
        raise ValueError(f"{_DATABASE_FORM}; write special characters of a password as %40") from None
    return given


def _absolute(given: Path) -> Path:
    """`given` as an absolute path; unchanged if the current directory was removed: using it then fails."""
    try:
        given = given.expanduser()
    except RuntimeError:
        raise ValueError("there is no such home directory: write the whole path instead of ~") from None
    with contextlib.suppress(OSError):
        given = given.absolute()
    try:
        str(given).encode()
    except UnicodeEncodeError:  # SQLite and JSON cannot hold such a name
        raise ValueError(f"{str(given)!a} is not UTF-8: name another directory, or start elsewhere") from None
    return given


def _bytes(given: Any) -> Any:
    found = _SIZE.fullmatch(given.strip()) if isinstance(given, str) else None
    if found is None:
        return given
    power = " KMGT".index(found[2] or " ")
    return int(found[1]) * (1024 if found[3] else 1000) ** power


def _sync_interval(given: str) -> str:
    found = _DURATION.fullmatch(given)
    if found is None:
        raise ValueError("give `always` or a duration such as 100ms, 10s or 2m")
    if found[2] and int(found[1]) * _UNIT_SECONDS[found[2]] > MAX_SYNC_SECONDS:
        raise ValueError("give at most 1h")
    return given


def _secret_keys(given: SecretStr) -> SecretStr:
    keys = given.get_secret_value().split(",")
    if any(len(key.strip()) < MIN_SECRET_CHARS for key in keys):
        raise ValueError(
            f"every key needs at least {MIN_SECRET_CHARS} characters; `openssl rand -hex 32` makes one"
        )
    return given


def _token(given: SecretStr) -> SecretStr:
    if problem := token_problem(given.get_secret_value()):
        raise ValueError(problem)
    return given


def _checkpoint_keys(given: SecretStr) -> SecretStr:
    from adapters.crypto.checkpoint_keys import parse_keys

    parse_keys(given.get_secret_value().split(","))
    return given


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Replicas = Annotated[Literal[1, 3, 5], BeforeValidator(_number)]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=MIN_LOG_BYTES, le=MAX_BYTES)]
Port = Annotated[int, Field(ge=0, le=65535)]
NatsUrls = Annotated[str, AfterValidator(_nats_urls)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Pools = Annotated[tuple[Name, ...], NoDecode, BeforeValidator(_split(",")), Field(min_length=1)]
HostNames = Annotated[
    tuple[Annotated[str, AfterValidator(host_name)], ...], NoDecode, BeforeValidator(_split(","))
]
Roots = Annotated[tuple[AbsolutePath, ...], NoDecode, BeforeValidator(_roots)]
JobSignals = Annotated[Literal["any", "own"], BeforeValidator(_lower)]
NatsClientKind = Annotated[Literal["auto", "fast", "plain"], BeforeValidator(_lower)]
LogLevelSetting = Annotated[LogLevel, BeforeValidator(_lower)]
SyncInterval = Annotated[str, AfterValidator(_sync_interval)]
SecretKeys = Annotated[SecretStr, AfterValidator(_secret_keys)]
CheckpointKeys = Annotated[SecretStr, AfterValidator(_checkpoint_keys)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_token)]
