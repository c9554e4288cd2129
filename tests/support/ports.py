"""Ports of loopback for what must know its port before it starts, or start again on the same one.

They lie below those that the system gives to outgoing connections: among these, whoever connects to a server
that is just down could be given its port, and could even connect to itself.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import socket

_PORTS = range(20_000, 32_000)
_order = itertools.cycle(random.SystemRandom().sample(_PORTS, len(_PORTS)))


def free_port() -> int:
    """A port on which nobody listened a moment ago, and which this process was not given before."""
    for port in itertools.islice(_order, len(_PORTS)):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def free_ports(count: int) -> list[int]:
    """So many of them."""
    return [free_port() for _ in range(count)]
