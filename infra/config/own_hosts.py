"""Host names that requests to this installation's listeners may use."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from domain.validation.web_hosts import host_name
from infra.config.settings import Settings


def own_hosts(settings: Settings, listens_on: str) -> tuple[str, ...]:
    """TOWPATH_ALLOWED_HOSTS, the hosts of our URLs, the address listened on, and this machine's name."""
    urls = (settings.api_public_base_url, settings.api_runner_callback_base_url)
    implied = [listens_on, socket.gethostname(), *(urlsplit(url).hostname or "" for url in urls if url)]
    found = dict.fromkeys(settings.allowed_hosts)
    for name in implied:
        try:
            found[host_name(name)] = None
        except ValueError:  # not a host name, such as an empty address
            continue
    return tuple(found)
