"""Metrics of API processes that share a port: a scrape reaches one of them, and shows the counts of all.

What a process counts since its start has the label `worker` then: a counter that is another process's at each
scrape would be nonsense. Each process tells its counts on an abstract Unix socket, to its own user only.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress

from prometheus_client import Metric, generate_latest
from prometheus_client.registry import Collector

from api.metrics.registry import Metrics

ANSWER_SECONDS = 1.0
_COUNTED = frozenset({"counter", "histogram"})
_COUNTED_GAUGES = frozenset({"towpath_live_streams", "towpath_live_streams_dropped"})
_CREDENTIALS = struct.Struct("3i")


def family(processes: int) -> list[Siblings]:
    """One object for each of `processes` that are about to be forked."""
    listening = []
    for _ in range(processes):
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        one.bind("")  # the kernel chooses an abstract address
        one.listen()
        one.setblocking(False)
        listening.append(one)
    return [Siblings(number, listening) for number in range(processes)]


class Siblings:
    """Process `number` of those that serve a port, and the way to the others."""

    def __init__(self, number: int, listening: Sequence[socket.socket]) -> None:
        self.first = number == 0
        self._worker = str(number + 1)
        self.listening = listening[number]
        self._others = {
            str(other + 1): one.getsockname() for other, one in enumerate(listening) if other != number
        }

    def close(self) -> None:
        """Give up the way to this process."""
        self.listening.close()

    async def serve(self, metrics: Metrics) -> None:
        """Tell the others what `metrics` counts, until it is canceled."""

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                if _is_ours(writer.get_extra_info("socket")):
                    writer.write(_packed(_counted(metrics)))
                    await writer.drain()
            writer.close()

        async with await asyncio.start_unix_server(answer, sock=self.listening) as server:
            await server.serve_forever()

    async def render(self, metrics: Metrics) -> bytes:
        """The text exposition format, with the counts of every process that answers."""
        told = dict(zip(self._others, await asyncio.gather(*map(_ask, self._others.values())), strict=True))
        found = {one.name: one for one in metrics.registry.collect()}
        counts = {self._worker: _counted(metrics), **{worker: _unpacked(one) for worker, one in told.items()}}
        for name in {one.name for families in counts.values() for one in families}:
            found.pop(name, None)
        for worker in sorted(counts, key=int):
            for one in counts[worker]:
                whole = found.setdefault(one.name, Metric(one.name, one.documentation, one.type))
                for sample in one.samples:
                    whole.add_sample(sample.name, {**sample.labels, "worker": worker}, sample.value)
        return generate_latest(_Collected(found.values()))


class _Collected(Collector):
    """Families that were collected before."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _counted(metrics: Metrics) -> list[Metric]:
    return [one for one in metrics.registry.collect() if one.type in _COUNTED or one.name in _COUNTED_GAUGES]


async def _ask(address: bytes) -> bytes:
    """All that the process at `address` tells; empty if it does not answer."""
    told = b""
    with suppress(OSError, TimeoutError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(ANSWER_SECONDS):
            await loop.sock_connect(asking, address)
            while part := await loop.sock_recv(asking, 1 << 16):
                told += part
            return told
    return b""


def _packed(families: Iterable[Metric]) -> bytes:
    rows = [
        [one.name, one.documentation, one.type, [[s.name, s.labels, s.value] for s in one.samples]]
        for one in families
    ]
    return json.dumps(rows).encode()


def _unpacked(told: bytes) -> list[Metric]:
    found = []
    with suppress(ValueError):  # one that was killed in the middle
        for name, documentation, kind, samples in json.loads(told or b"[]"):
            one = Metric(name, documentation, kind)
            for sample in samples:
                one.add_sample(*sample)
            found.append(one)
    return found


def _is_ours(peer: socket.socket) -> bool:
    told = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(told)[1] == os.getuid())
