"""Host and origin rules of HTTP listeners, against DNS rebinding and cross-site requests.

A page in a browser can send requests to this listener in two ways. It can resolve its own host name to this
machine's address (DNS rebinding); `Host` is then a foreign name, so `Host` must be an IP address, `localhost`
or a configured name. Or it can send a cross-origin request, which browsers allow for forms; `Origin` then
names the page's host, so `Origin` must be this listener's own or a configured one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from domain.context.loopback import is_loopback

SETTING = "TOWPATH_ALLOWED_HOSTS"
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")
_WILDCARD = "*."
_DEFAULT_PORTS = {"http": 80, "https": 443}


def host_name(text: str) -> str:
    """A configured host, normalised for comparison: lower case, no port, no brackets, no final dot.

    `*.example.com` matches every name below `example.com`.

    Raises:
        ValueError: `text` is neither a name nor an address.
    """
    found = split_host(text.removeprefix(_WILDCARD))
    if found is None or (text.startswith(_WILDCARD) and _is_address(found[0])):
        raise ValueError(
            "give host names without a scheme or a path, such as towpath.example or *.example.com"
        )
    return (_WILDCARD if text.startswith(_WILDCARD) else "") + found[0]


def split_host(text: str) -> tuple[str, int | None] | None:
    """Name and port of a `Host` value; None if it is malformed."""
    text = text.strip().lower()
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        if not bracket or not _is_address(name.partition("%")[0]):
            return None
    else:
        name, colon, port = text.partition(":")
        rest = colon + port
        name = name.removesuffix(".")
        if not _is_address(name) and not _NAME.fullmatch(name):
            return None
    if not rest:
        return name, None
    digits = rest.removeprefix(":")
    if rest[0] != ":" or (digits and not (digits.isascii() and digits.isdigit() and int(digits[:6]) < 65536)):
        return None
    return name, int(digits) if digits else None


@dataclass(frozen=True, slots=True)
class ForeignHost:
    """Why a request is refused: an HTTP status, a stable code, and what to do."""

    status: int
    code: str
    detail: str


class WebHosts:
    """The host names of one listener: IP addresses, `localhost`, and `names`."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        known = [host_name(name) for name in names]
        self._names = frozenset(name for name in known if not name.startswith(_WILDCARD))
        self._suffixes = tuple(name.removeprefix("*") for name in known if name.startswith(_WILDCARD))

    def refusal(self, headers: Iterable[tuple[bytes, bytes]], http_version: str) -> ForeignHost | None:
        """Why a request with these headers (names in lower case) is refused; None if it is accepted.

        `X-Forwarded-Host` and similar headers are ignored: the sender of a request chooses them.
        """
        named, origins = [], []
        for name, value in headers:
            if name == b"host":
                named.append(value.decode("latin-1"))
            elif name == b"origin":
                origins.append(value.decode("latin-1"))
        if len(named) != 1 and (named or http_version != "1.0"):
            return ForeignHost(400, "bad-host", "send exactly one Host header")
        if named and not self.serves(named[0]):
            return ForeignHost(
                403,
                "foreign-host",
                f"nothing here answers under that name; if it is one of this service's, add it to {SETTING}",
            )
        if not all(self.own_origin(one, named[0] if named else "") for one in origins):
            return ForeignHost(
                403,
                "foreign-origin",
                f"web pages of other hosts may not call this; if you trust that host, add it to {SETTING}",
            )
        return None

    def serves(self, host: str) -> bool:
        """Whether a request with this `Host` is for this listener."""
        found = split_host(host)
        return found is not None and (
            found[0] == "localhost" or _is_address(found[0]) or self._named(found[0])
        )

    def own_origin(self, origin: str, host: str) -> bool:
        """Whether a page of `origin` may send a request to `host`, which this listener serves.

        A page of this listener may: it has the same port, and the same name or another loopback name. So may
        pages of configured hosts.
        """
        try:
            parts = urlsplit(origin.strip().lower())
            name, port = parts.hostname, parts.port
        except ValueError:
            return False
        if parts.scheme not in _DEFAULT_PORTS or name is None or parts.path or parts.query or parts.username:
            return False
        name = name.removesuffix(".")
        if self._named(name):
            return True
        asked = split_host(host)
        if asked is None:
            return False
        default = _DEFAULT_PORTS[parts.scheme]
        same_name = name == asked[0] or (is_loopback(name) and is_loopback(asked[0]))
        return same_name and (port or default) == (asked[1] or default)

    def _named(self, name: str) -> bool:
        return name in self._names or name.endswith(self._suffixes)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
