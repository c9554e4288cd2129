"""Configuration: the API's URL and token, from arguments, else the variables of the `towpath` command."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from towpath_client.errors import BadConfiguration

DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Config:
    """`timeout`: seconds for one call with all its retries, where the call is given no other."""

    url: str
    token: str | None = field(default=None, repr=False)
    job_token: str | None = field(default=None, repr=False)
    timeout: float = 30.0
    on_behalf_of: str | None = None
    role: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether the API is on this machine, so that no proxy is asked."""
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every request. Answers are not compressed: a few bytes could become gigabytes."""
        found = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if self.token is not None:
            found["Authorization"] = f"Bearer {self.token}"
        if self.on_behalf_of is not None:
            found["Towpath-On-Behalf-Of"] = self.on_behalf_of
        if self.role is not None:
            found["Towpath-Role"] = self.role
        return found


def configured(
    url: str | None,
    token: str | None,
    job_token: str | None,
    timeout: float,
    on_behalf_of: str | None,
    role: str | None,
) -> Config:
    """The configuration: arguments win over TOWPATH_URL, TOWPATH_TOKEN and TOWPATH_JOB_TOKEN.

    Raises:
        BadConfiguration: the URL or the timeout cannot be used.
    """
    url = url if url is not None else os.environ.get("TOWPATH_URL") or DEFAULT_URL
    token = token if token is not None else os.environ.get("TOWPATH_TOKEN")
    job_token = job_token if job_token is not None else os.environ.get("TOWPATH_JOB_TOKEN")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise BadConfiguration("the URL of the API (`url`, or TOWPATH_URL) is no http:// or https:// URL")
    if not timeout > 0:
        raise BadConfiguration("`timeout` is a number of seconds above 0")
    for name, value in (("on_behalf_of", on_behalf_of), ("role", role)):
        if value is not None and not re.fullmatch("[A-Za-z0-9_.@:-]+", value):
            raise BadConfiguration(f"`{name}` has a character that no part of a caller's name may have")
    return Config(url.rstrip("/"), token or None, job_token or None, timeout, on_behalf_of, role)
