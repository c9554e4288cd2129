"""A job has three open descriptors and no other, on the loop that services run on.

That loop leaves copies of the pipes between runner and shim in the shim's process.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.runner.harness import HttpControlPlane, RunnerProcess, confinable, submission

SHOW = ["sh", "-c", "exec ls -l /proc/$$/fd"]
USER = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "user": {"job_user": USER},
    **({"signals": {"own_signals": True}} if confinable() else {}),
    **({"both": {"job_user": USER, "own_signals": True}} if confinable() else {}),
}
"""Where the kernel cannot confine signals, no job starts with that option."""


def descriptors(final: dict[str, Any]) -> dict[int, str]:
    """Where they lead to, but the one through which the listing itself was read."""
    rows = [line.partition(" -> ") for line in final["output_tail"].splitlines() if " -> " in line]
    found = {int(link.split()[-1]): target for link, _, target in rows}
    return {number: target for number, target in found.items() if not target.endswith("/fd")}


def only_its_own(final: dict[str, Any]) -> bool:
    found = descriptors(final)
    return sorted(found) == [0, 1, 2] and found[0] == "/dev/null" and found[1] == found[2]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_job_of_a_runner_on_uvloop(
    control: HttpControlPlane, runner_process: Callable[..., RunnerProcess], kind: str
) -> None:
    runner = runner_process(callback_urls=(control.url,), **KINDS[kind])
    body = submission(SHOW)
    await runner.submit({**body, **control.callback(body["task_id"])})
    final = await control.final(body["task_id"])
    assert only_its_own(final), final
