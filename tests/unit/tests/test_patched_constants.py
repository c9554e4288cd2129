"""Timing that a test shortens is an argument of what it tests, not a constant of a module that it patches."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
PATCHED_TIMING = re.compile(r'setattr\([^()]*SECONDS["\']')
NOT_YET = {"integration/api/reports/test_nats_intake.py", "integration/api/test_nats_away.py"}
"""They test the intake of reports, whose times are constants."""


def test_no_test_patches_a_timing_constant() -> None:
    patching = {
        str(path.relative_to(TESTS))
        for path in TESTS.rglob("*.py")
        if PATCHED_TIMING.search(path.read_text(encoding="utf-8"))
    }
    assert patching <= NOT_YET, "give the class a timing argument with the constant as its default"


def test_a_patched_constant_is_recognised() -> None:
    call = "setattr"  # so that this file holds none
    assert PATCHED_TIMING.search(f'monkeypatch.{call}("adapters.nats.client.SILENT_SECONDS", 1.0)')
    assert PATCHED_TIMING.search(f"patch.{call}(\n    module,\n    'POLL_SECONDS',\n    0.2,\n)")
