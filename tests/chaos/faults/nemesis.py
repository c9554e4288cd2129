"""Breaks everything that can break, by a seed: what, where, for how long, and when next.

Each fault is written into the history when it begins and when it is over, and only where it happened: what
does not run cannot be killed. Faults overlap: several may be in force at once, but one thing is broken in one
way at a time, so that it is known when it is whole again.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from tests.chaos.deployments.harness import GRACE_SECONDS, LEASE_SECONDS, Harness, Machine
from tests.chaos.faults.http_proxy import MISCHIEF
from tests.chaos.faults.power import cut_power
from tests.chaos.machines.processes import Child, Part, launchers_of, shims_of

KINDS = {"nats": 1, "api": 2, "projector": 2, "notifier": 2, "runner": 3}
"""How often each is chosen: while NATS elects a leader, nothing else happens that could go wrong."""
TAKE_OVER_SECONDS = 10.0
"""After which a notifier that stands by takes over from one that stands still."""
ALONE_SECONDS = 1.0
"""How long a runner is left alone that has lost a shim: it alone finds what the shim has left."""
DEEDS = (("kill", signal.SIGKILL), ("stop", signal.SIGSTOP), ("terminate", signal.SIGTERM))
FAULTS = {
    "kill": 6,
    "kill-many": 1,
    "pause": 4,
    "pause-runner-past-lease": 2,
    "pause-notifier-past-take-over": 1,
    "restart": 3,
    "kill-shim": 3,
    "kill-launcher": 3,
    "cut": 5,
    "half-cut": 4,
    "full-disk": 2,
    "http": 4,
    "power-cut": 3,
}
QUIET_SECONDS = 20.0
"""How long a power cut waits until nothing else of its machine is broken; meanwhile nothing new is."""


class Nemesis:
    """`run` until canceled, then `heal`. `errors`: what of its own went wrong, so a fault did not happen."""

    def __init__(
        self,
        harness: Harness,
        seed: int,
        only: Sequence[str] = (),
        whole: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """`only`: names of FAULTS, if not all. `whole`: whether all replicas are up to date."""
        self._world = harness
        self._whole = whole
        self._often = {name: often for name, often in FAULTS.items() if not only or name in only}
        self._random = random.Random(seed)
        self._busy: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()
        self.errors: list[str] = []
        self._fault: dict[str, Callable[[], Awaitable[None]]] = {
            "kill": self._kill,
            "kill-many": self._kill_many,
            "pause": self._pause,
            "pause-runner-past-lease": self._pause_past_lease,
            "pause-notifier-past-take-over": self._pause_past_take_over,
            "restart": self._restart,
            "kill-shim": lambda: self._hit("shim", shims_of),
            "kill-launcher": lambda: self._hit("launcher", launchers_of),
            "cut": lambda: self._cut("cut", ["both"]),
            "half-cut": lambda: self._cut("half-cut", ["in", "out"]),
            "full-disk": self._fill,
            "http": self._mischief,
            "power-cut": self._cut_power,
        }
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def run(self, seconds_between: float) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(0.4, 1.6) * seconds_between)
            await self._quiet.wait()
            name = self._random.choices(list(self._often), list(self._often.values()))[0]
            task = asyncio.create_task(self._fault[name]())
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.errors.append("".join(traceback.format_exception(task.exception())))

    async def heal(self) -> None:
        """Let what is in force run out, then make sure that everything is whole."""
        if self._running:
            await asyncio.wait(self._running)
        for links in self._world.links.values():
            for link in links:
                link.heal()
        for disk, _ in self._world.disks:
            disk.free()
        for proxy in self._world.proxies:
            proxy.mischief = None
        for part in self._world.parts:
            part.send(signal.SIGCONT)
            part.start()
        self._world.history.note("healed-all")

    # ------------------------------------------------------------------ processes

    def _some_part(self, kinds: dict[str, int]) -> Part | None:
        kind = self._kind(kinds)
        parts = [part for part in self._world.of_kind(kind) if part.name not in self._busy]
        return self._random.choice(parts) if parts else None

    def _kind(self, kinds: dict[str, int]) -> str:
        return self._random.choices(list(kinds), list(kinds.values()))[0]

    async def _kill(self) -> None:
        part = self._some_part({**KINDS, "up": 1} if self._world.of_kind("up") else KINDS)
        if part is not None:
            await self._during("kill", part, part.kill, part.start, self._random.uniform(0, 4))

    async def _kill_many(self) -> None:
        """All of a kind at once: a power cut in one rack."""
        parts = [part for part in self._world.of_kind(self._kind(KINDS)) if part.name not in self._busy]
        seconds = self._random.uniform(0, 3)
        await asyncio.gather(*(self._during("kill", part, part.kill, part.start, seconds) for part in parts))

    async def _restart(self) -> None:
        part = self._some_part(KINDS)
        if part is not None:
            await self._during("restart", part, part.terminate, part.start, 0.0)

    async def _pause(self) -> None:
        part = self._some_part(KINDS)
        if part is not None:
            await self._stopped("pause", part, self._random.uniform(0.3, 4))

    async def _pause_past_lease(self) -> None:
        part = self._some_part({"runner": 1})
        if part is not None:
            seconds = LEASE_SECONDS + GRACE_SECONDS + self._random.uniform(1, 4)
            await self._stopped("pause longer than the lease", part, seconds)

    async def _pause_past_take_over(self) -> None:
        part = self._some_part({"notifier": 1})
        if part is not None:
            seconds = TAKE_OVER_SECONDS + self._random.uniform(1, 5)
            await self._stopped("pause longer than the take-over", part, seconds)

    async def _stopped(self, fault: str, part: Part, seconds: float) -> None:
        pid = part.pid

        async def stop() -> None:
            with suppress(ProcessLookupError):
                if pid is not None:
                    os.kill(pid, signal.SIGSTOP)

        def go_on() -> None:
            with suppress(ProcessLookupError):
                if pid is not None:  # also where its parent is gone by now: it would keep its port for ever
                    os.kill(pid, signal.SIGCONT)

        await self._during(fault, part, stop, go_on, seconds)

    async def _hit(self, kind: str, find: Callable[[int], list[int]]) -> None:
        """Kill, end or stop what stands between a runner and its jobs: a shim, a guard, or the launcher."""
        runners = [one for one in self._world.of_kind("runner") if not self._busy & _with_parent(one)]
        found = [(one, pid) for one in runners if one.pid for pid in find(one.pid)]
        if not found:
            return
        runner, pid = self._random.choice(found)
        self._busy |= _with_parent(runner)
        try:
            deed, number = self._random.choice(DEEDS)
            os.kill(pid, number)
            self._begin(deed, kind, runner.name)
            await asyncio.sleep(ALONE_SECONDS)
            self._over(deed, runner.name)
        except ProcessLookupError:  # its job has just ended
            return
        finally:
            self._busy -= _with_parent(runner)

    async def _during(
        self,
        fault: str,
        part: Part,
        begin: Callable[[], Awaitable[None]],
        end: Callable[[], object],
        seconds: float,
    ) -> None:
        if part.pid is None:  # it has just ended by itself, or its parent is down
            return
        self._busy.add(part.name)
        try:
            self._begin(fault, part.kind, part.name, seconds)
            await begin()
            await asyncio.sleep(seconds)
            end()
            self._over(fault, part.name)
        finally:
            self._busy.discard(part.name)

    # ------------------------------------------------------------------ power

    async def _cut_power(self) -> None:
        """A whole machine at once: one, or what stands in one rack.

        Servers lose their power only while all replicas are up to date. Cut again before that, nats-server
        2.15.1 may be left with a work queue that no replica can lead, and has lost what was in it.
        """
        if not self._world.machines:
            return
        machine = self._random.choice(self._world.machines)
        if not machine.disks[0].forgets:
            return
        names = {part.name for part in machine.parts} | {disk.name for disk in machine.disks}
        self._quiet.clear()
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                while names & self._busy or not await self._may_lose_power(machine):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            return
        finally:
            self._quiet.set()
        self._busy |= names
        try:
            self._begin("power cut", machine.kind, machine.name)
            await cut_power(machine)
            await asyncio.sleep(self._random.uniform(0, 2))
            for part in machine.parts:
                part.start()
            self._over("power cut", machine.name)
        finally:
            self._busy -= names

    async def _may_lose_power(self, machine: Machine) -> bool:
        return self._whole is None or "nats" not in machine.kind or await self._whole()

    # ------------------------------------------------------------------ network, disks, HTTP

    async def _cut(self, fault: str, ways: list[str]) -> None:
        links = self._world.links[self._random.choice(list(self._world.links))]
        link, way = self._random.choice(links), self._random.choice(ways)
        place = link.name.partition("/")[0]
        if f"link {place}" in self._busy:
            return
        self._busy.add(f"link {place}")
        kind = next(kind for kind, known in self._world.links.items() if link in known)
        try:
            seconds = self._random.choice([0.5, 2.0, LEASE_SECONDS + GRACE_SECONDS + 2])
            self._begin(f"{fault}", kind, f"{link.name} {way}", seconds)
            link.cut(way)
            await asyncio.sleep(seconds)
            link.heal()
            self._over(fault, link.name)
        finally:
            self._busy.discard(f"link {place}")

    async def _fill(self) -> None:
        disk, part = self._random.choice(self._world.disks)
        if disk.name in self._busy or part.name in self._busy:
            return
        self._busy |= {disk.name, part.name}
        try:
            await asyncio.to_thread(disk.fill)
            self._begin("full disk", part.kind, disk.name)
            await asyncio.sleep(self._random.uniform(1, 5))
            disk.free()
            if part.kind in ("nats", "up"):  # a server that could not write is to be started again
                await part.kill()
                part.start()
            self._over("full disk", disk.name)
        finally:
            self._busy -= {disk.name, part.name}

    async def _mischief(self) -> None:
        proxy, what = self._random.choice(self._world.proxies), self._random.choice(MISCHIEF)
        if proxy.name in self._busy:
            return
        self._busy.add(proxy.name)
        try:
            self._begin("HTTP answers", {"drop": "dropped"}.get(what, "duplicated"), f"{proxy.name} {what}")
            proxy.mischief, proxy.chance = what, self._random.choice([0.1, 0.3, 1.0])
            await asyncio.sleep(self._random.uniform(1, 4))
            proxy.mischief = None
            self._over("HTTP answers", proxy.name)
        finally:
            self._busy.discard(proxy.name)

    def _begin(self, fault: str, on: str, name: str = "", seconds: float = 0.0) -> None:
        self._world.history.note("fault", fault=f"{fault}: {on}", name=name, seconds=round(seconds, 2))

    def _over(self, fault: str, name: str) -> None:
        self._world.history.note("healed", fault=fault, name=name)


def _with_parent(part: Part) -> set[str]:
    """What must be whole for a part to be: itself, and `towpath up` where that has started it."""
    return {part.name, "up"} if isinstance(part, Child) else {part.name}
