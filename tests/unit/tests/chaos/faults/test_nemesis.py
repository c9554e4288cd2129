"""What the nemesis says it has broken, it has broken; what it could not break, it says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos.deployments.harness import Harness
from tests.chaos.faults.nemesis import Nemesis
from tests.chaos.history import History, read_history
from tests.chaos.machines import network
from tests.chaos.machines.network import PortLink
from tests.chaos.machines.processes import Child


def _world(tmp_path: Path, *pids: int | None) -> Harness:
    harness = Harness(tmp_path, History(tmp_path / "history.jsonl"), postgres="", nodes=1)
    harness.parts = [Child("runner", f"up/{number}", lambda pid=pid: pid) for number, pid in enumerate(pids)]
    return harness


async def test_what_does_not_run_is_not_counted_as_broken(tmp_path: Path) -> None:
    harness = _world(tmp_path, None, None)
    nemesis = Nemesis(harness, seed=1)
    for fault in (
        "kill",
        "kill-many",
        "pause",
        "pause-runner-past-lease",
        "restart",
        "kill-shim",
        "kill-launcher",
    ):
        for _ in range(10):
            await nemesis._fault[fault]()
    harness.history.close()
    assert list(read_history(harness.history.path)) == []


async def test_what_the_nemesis_cannot_break_is_an_error_of_the_run(tmp_path: Path) -> None:
    harness = _world(tmp_path)
    nemesis = Nemesis(harness, seed=1)

    async def breaks() -> None:
        raise RuntimeError("no such tool")

    for name in nemesis._fault:
        nemesis._fault[name] = breaks
    running = asyncio.create_task(nemesis.run(0.001))
    async with asyncio.timeout(10):
        while not nemesis.errors:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await nemesis.heal()
    harness.history.close()
    assert "no such tool" in nemesis.errors[0]


def test_one_port_is_healed_and_the_other_stays_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    rules: list[tuple[str, ...]] = []

    def iptables(*command: str) -> None:
        _, _, what, *rule = command
        rules.append(tuple(rule)) if what == "-A" else rules.remove(tuple(rule))

    monkeypatch.setattr(network, "run", iptables)
    one, other = PortLink("one", 1), PortLink("other", 2)
    one.cut("both")
    other.cut("in")
    one.heal()
    one.heal()
    assert [rule[-3] for rule in rules] == ["2"]
