"""Processes are looked at while they end."""

from __future__ import annotations

import os
import subprocess

from tests.chaos.machines.processes import children_of, families_of, state_of


def test_what_is_gone_has_no_children() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert children_of(process.pid) == []
    assert families_of([process.pid]) == {process.pid}
    assert state_of(process.pid) == f"{process.pid} \n"


def test_a_child_belongs_to_the_family() -> None:
    with subprocess.Popen(["sleep", "300"]) as process:
        assert process.pid in families_of([os.getpid()])
        assert f"{process.pid} (" in state_of(process.pid)
        process.kill()
