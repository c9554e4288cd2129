"""Where webhooks may go: public addresses, and what the channel allows by name.

A name is resolved once for each request, all its addresses are checked, and one of those is connected to. So
a name that resolves to another address a moment later (DNS rebinding) leads nowhere else.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))


class NotAllowed(Exception):
    """The receiver's address is not public, and the channel does not allow it."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a channel allows beside public addresses: host names, and networks of addresses."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, entries: Sequence[str]) -> Allowed:
        """Of host names, addresses and networks (`10.1.2.0/24`). ValueError names the faulty entry."""
        hosts, networks = set[str](), list[IPv4Network | IPv6Network]()
        for entry in entries:
            try:
                networks.append(ip_network(entry.strip("[]")))
            except ValueError:
                if "/" in entry or not entry or entry != entry.strip() or entry[0].isdigit():
                    raise ValueError(
                        f"{entry[:60]!r} is no host name, address or network such as 10.1.2.0/24"
                    ) from None
                hosts.add(entry.lower().rstrip("."))
        return cls(frozenset(hosts), tuple(networks))

    def names(self, host: str) -> bool:
        """Whether the host of a URL is allowed by its name, whatever its addresses are."""
        return host.lower().rstrip(".") in self.hosts

    def holds(self, address: Address) -> bool:
        """Whether the address is in an allowed network."""
        return any(address in network for network in self.networks if network.version == address.version)


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, by the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def checked_address(host: str, port: int, allowed: Allowed, look_up: Resolve = resolve) -> str:
    """An address of `host` to connect to.

    Raises:
        NotAllowed: one of its addresses is neither public nor allowed. OSError: it has none.
    """
    found = await look_up(host, port)
    if not found:
        raise OSError("it has no address")
    if not allowed.names(host):
        for text in found:
            kind = _kind(ip_address(text.partition("%")[0]), allowed)
            if kind is not None:
                raise NotAllowed(
                    f"its address {text} is {kind}: name the host or the address in the channel's `allow`"
                )
    return found[0]


def _kind(address: Address, allowed: Allowed) -> str | None:
    """Why the address may not be connected to; None if it may."""
    if allowed.holds(address):
        return None
    for one in _with_embedded(address):
        if allowed.holds(one):
            continue
        if one.is_loopback:
            return "loopback"
        if one.is_link_local:
            return "link-local"
        if not one.is_global or one.is_multicast:
            return "not public"
    return None


def _with_embedded(address: Address) -> Iterator[Address]:
    """The address, or the IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        yield address
    elif address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    else:
        yield address
        if address.sixtofour is not None:
            yield address.sixtofour
        if address.teredo is not None:
            yield address.teredo[1]
        if any(address in network for network in _NAT64):
            yield IPv4Address(int(address) & 0xFFFFFFFF)
