"""Item 2, of automatic retries: only where the task's policy wants one, and never too early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.raw_log import Fact

if TYPE_CHECKING:
    from tests.chaos.check.lives import Life

CLOCK_SECONDS = 0.02
"""How much the pause may be shorter by the clocks of two processes."""
LONGEST_SECONDS = 3600.0


def followed(life: Life) -> bool:
    """Whether another attempt follows by itself, by the contract's own words."""
    policy = life.spec.get("retry")
    if policy is None or life.cancel_requested or life.release_requested:
        return False
    kept = life.reason == "runner-lost" and life.claim.get("on_runner_lost") == "hold"
    wanted = life.status in ("failed", "submit-failed") and life.reason in policy["on"]
    return wanted and not kept and life.attempt < policy["max_attempts"]


def retry_faults(before: Life, dispatched: Fact) -> list[tuple[str, str]]:
    """What is wrong with an attempt that was begun automatically."""
    if dispatched.data.get("by") != "retry":
        return []
    if not followed(before):
        return [("retry", f"begun after {before.status} ({before.reason}), where none was to follow")]
    first = before.spec["retry"]["backoff_seconds"]
    pause = min(first * 2.0 ** (before.attempt - 1), max(first, LONGEST_SECONDS))
    waited = dispatched.time - before.ended_at
    if waited + CLOCK_SECONDS < pause:
        return [("retry", f"begun {waited:.3f} s after the end, where the pause is {pause:g} s")]
    return []
