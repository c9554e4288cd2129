"""The nemesis finds the launcher of a real runner, breaks it, and writes that into the history."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.chaos.deployments.harness import Harness
from tests.chaos.faults import nemesis
from tests.chaos.faults.nemesis import Nemesis
from tests.chaos.history import History, read_history
from tests.chaos.machines.processes import Child, launchers_of, shims_of
from tests.integration.runner.harness import DEADLINE, RunnerProcess
from tests.support.waiting import eventually


async def test_a_killed_launcher_is_a_fault_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nemesis, "DEEDS", (("kill", signal.SIGKILL),))
    runner = RunnerProcess(state_dir=tmp_path / "state")
    harness = Harness(tmp_path, History(tmp_path / "history.jsonl"), postgres="", nodes=1)
    harness.parts = [Child("runner", "one", lambda: runner.process.pid)]
    try:
        [first] = await eventually(lambda: launchers_of(runner.process.pid), DEADLINE)
        assert shims_of(runner.process.pid) == []
        await Nemesis(harness, seed=1)._fault["kill-launcher"]()
        await eventually(lambda: set(launchers_of(runner.process.pid)) - {first}, DEADLINE)
    finally:
        runner.close()
    harness.history.close()
    said = [(line["line"], line.get("fault"), line["name"]) for line in read_history(harness.history.path)]
    assert said == [("fault", "kill: launcher", "one"), ("healed", "kill", "one")]
