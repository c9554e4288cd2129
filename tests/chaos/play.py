"""One part of a run: a deployment is started, used and broken for a while, healed, and judged."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from nats.aio.client import Client

from tests.chaos.check import check
from tests.chaos.check.verdict import Verdict
from tests.chaos.clients.lock_commands import LONGEST_SECONDS, LockCommands
from tests.chaos.clients.operators import Operators
from tests.chaos.clients.receiver import EVENTS
from tests.chaos.clients.reporters import Reporters
from tests.chaos.clients.scenarios import REPORTED_POOL, Ground, Scenarios
from tests.chaos.deployments.harness import (
    API_TOKEN,
    CALLBACK_TOKEN,
    GRACE_SECONDS,
    LEASE_SECONDS,
    TOWPATH,
    Harness,
    until,
)
from tests.chaos.deployments.single_node import single_node
from tests.chaos.deployments.three_nodes import three_nodes
from tests.chaos.faults.nemesis import Nemesis
from tests.chaos.history import History, read_history
from tests.chaos.raw_log import fetch_log, write_log
from tests.chaos.settle import collect, notifier_position, settle
from tests.support.nats import api, connect

START_SECONDS = 90.0
FINISH_SECONDS = 60.0
SETTLE_SECONDS = 60.0
CLIENTS = 480
JOB_SHARE = 0.07
LOCK_COMMANDS = 4


@dataclass
class Played:
    """What one part came to."""

    nodes: int
    verdict: Verdict
    faults: Counter[str]
    operations: Counter[tuple[str, str]]
    server_errors: Counter[str]
    mischief: Counter[str]
    notices: Counter[str]
    tasks: int
    jobs: int
    lock_commands: Counter[str]
    seconds: float
    directory: Path
    ends: Counter[str] = field(default_factory=Counter)
    stuck: Counter[str] = field(default_factory=Counter)
    open_: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Nothing was violated, and nothing could not be looked at."""
        return not (self.verdict.violations or self.verdict.unchecked or self.errors)


@dataclass(frozen=True)
class Order:
    """What to play: `seconds` of faults, about `per_second` tasks, a fault every `between` seconds."""

    nodes: int
    seed: int
    seconds: float
    per_second: float
    between: float
    postgres: str
    plant: str | None = None
    power_cuts: bool = False
    only: tuple[str, ...] = ()


async def play(order: Order, directory: Path) -> Played:
    """Run one part in `directory`, which is made; whatever was started is ended."""
    directory.mkdir(parents=True)
    history = History(directory / "history.jsonl")
    history.note("run", seed=order.seed, nodes=order.nodes, seconds=order.seconds, wall=time.time())
    harness = Harness(directory, history, order.postgres, order.nodes, order.plant, order.power_cuts)
    (three_nodes if order.nodes == 3 else single_node)(harness)
    started = time.monotonic()
    operators = Operators(
        history, [proxy.listen for proxy in harness.proxies], (API_TOKEN, CALLBACK_TOKEN), order.seed
    )
    try:
        return await _play(order, harness, operators, started)
    finally:
        await operators.close()
        await harness.close()
        history.close()


async def _play(order: Order, harness: Harness, operators: Operators, started: float) -> Played:
    nc = await _start(order, harness)
    operators.nats = nc
    reporters = Reporters(order.seed, REPORTED_POOL, harness.history)
    reporters.nats = nc
    for workspace, root in harness.workspaces.items():
        await operators.register(workspace, str(root))
    scenarios = Scenarios(operators, reporters, Ground(harness.workspaces, harness.pools), order.seed)
    commands = LockCommands(
        TOWPATH,
        operators,
        harness.history,
        harness.lock_places,
        harness.workspaces,
        LEASE_SECONDS + GRACE_SECONDS,
        order.seed,
    )
    beating = asyncio.create_task(reporters.run(LEASE_SECONDS / 3))
    nemesis = Nemesis(harness, order.seed, order.only, lambda: _up_to_date(nc))
    wanting = asyncio.create_task(scenarios.run(CLIENTS, order.per_second, JOB_SHARE))
    moving = asyncio.create_task(scenarios.move())
    locking = asyncio.create_task(commands.run(LOCK_COMMANDS))
    breaking = asyncio.create_task(nemesis.run(order.between))
    try:
        await asyncio.wait(
            {wanting, moving, locking, breaking}, timeout=order.seconds, return_when=asyncio.FIRST_EXCEPTION
        )
    finally:
        breaking.cancel()
        scenarios.stop.set()
        commands.stop.set()
    (end,) = await asyncio.gather(breaking, return_exceptions=True)
    await nemesis.heal()
    _, waiting = await asyncio.wait({wanting, moving}, timeout=FINISH_SECONDS)
    for task in waiting:  # it waits for room, which clients that wait for ever do not give back
        task.cancel()
    await asyncio.wait({wanting, moving})
    await asyncio.wait({locking}, timeout=LONGEST_SECONDS + FINISH_SECONDS)
    left = await scenarios.finish(FINISH_SECONDS)
    for task in {wanting, moving} - waiting:
        task.result()
    if not locking.cancel():
        locking.result()
    else:
        left.append("a lock command, or its release")
    open_ = await settle(harness, nc, SETTLE_SECONDS)
    open_ += [f"a client still waits in {where} ({times} do)" for where, times in Counter(left).items()]
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)
    await collect(harness, nc)
    log = await fetch_log(harness.nats_urls, **harness.control)
    await nc.close()
    write_log(harness.directory / "log.jsonl", log)
    harness.history.close()
    lines = list(read_history(harness.history.path))
    if scenarios.jobs and not any(line["line"] == "mark" for line in lines):
        scenarios.errors.append("no job has run, so nothing was shown about processes")
    if isinstance(end, Exception):
        nemesis.errors.append(f"the nemesis ended by {end!r}")
    return Played(
        nodes=order.nodes,
        verdict=check(lines, log),
        faults=Counter(line["fault"] for line in lines if line["line"] == "fault"),
        operations=operators.counts,
        server_errors=operators.server_errors,
        mischief=sum((proxy.done for proxy in harness.proxies), Counter()),
        notices=sum((receiver.done for receiver in harness.receivers), Counter()),
        tasks=scenarios.tasks,
        jobs=scenarios.jobs,
        lock_commands=Counter(_told(line["code"]) for line in lines if line["line"] == "lock-command"),
        seconds=time.monotonic() - started,
        directory=harness.directory,
        ends=Counter(f"{line['process']} with {line['code']}" for line in lines if line["line"] == "ended"),
        stuck=Counter(line["process"] for line in lines if line["line"] == "stuck"),
        open_=open_,
        errors=scenarios.errors + nemesis.errors + commands.errors,
    )


def _told(code: int | None) -> str:
    return "did not end" if code is None else f"killed by signal {-code}" if code < 0 else str(code)


async def _start(order: Order, harness: Harness) -> Client:
    """Start NATS, then all else, and wait until both APIs are ready; a connection of the control plane."""
    for part in harness.parts:
        if part.kind in ("nats", "up"):
            part.start()
    if order.nodes == 1:
        password = harness.directory / "up" / "nats-password"
        await until(lambda: _true(password.exists()), START_SECONDS, "towpath up made no password")
        harness.control = {"user": "towpath", "password": password.read_text().strip()}
    nc = await connect(harness.nats_urls, **harness.control, error_cb=_ignore, ping_interval=5)
    await until(lambda: _leader(nc), START_SECONDS, "JetStream has no leader")
    for part in harness.parts:
        part.start()
    for proxy in harness.proxies:
        await proxy.start(order.seed)
    for receiver in harness.receivers:
        await receiver.start(order.seed)
    for name in harness.apis:
        await until(lambda name=name: _ready(harness, name), START_SECONDS, f"{name} is not ready")
    await until(lambda: _notified(harness), START_SECONDS, "no notifier works")
    harness.history.note("notified", events=EVENTS)
    return nc


async def _ready(harness: Harness, name: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            return (await client.get(f"{harness.apis[name]}/readyz")).is_success
    except httpx.HTTPError:
        return False


async def _notified(harness: Harness) -> bool:
    """Whether a notifier has taken its place in the log: it tells of what comes behind that."""
    try:
        return await notifier_position(harness.postgres) is not None
    except Exception:
        return False


async def _leader(nc: Client) -> bool:
    try:
        return b'"error"' not in (await nc.request("$JS.API.INFO", b"", timeout=1)).data
    except Exception:
        return False


async def _up_to_date(nc: Client) -> bool:
    """Whether every stream and consumer of Towpath has a leader, and replicas that lack nothing."""
    try:
        streams = (await api(nc, "STREAM.LIST"))["streams"]
        groups = [stream["cluster"] for stream in streams if "cluster" in stream]
        for stream in streams:
            consumers = (await api(nc, f"CONSUMER.LIST.{stream['config']['name']}"))["consumers"] or []
            groups += [consumer["cluster"] for consumer in consumers if "cluster" in consumer]
    except Exception:
        return False
    replicas = [one for group in groups for one in group.get("replicas") or []]
    return all(group.get("leader") for group in groups) and all(
        one["current"] and not one.get("offline") and not one.get("lag") for one in replicas
    )


async def _true(value: bool) -> bool:
    return value


async def _ignore(_: Exception) -> None:
    """Connections are meant to break."""
