"""Waiting for a condition with a deadline: the only way a test may let time pass."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.01
_DEADLINE_SECONDS = 60.0
"""Nothing takes so long but on a machine that does much else; only a test that fails waits for it."""


async def eventually(condition: Callable[[], T | Awaitable[T]], timeout: float = _DEADLINE_SECONDS) -> T:
    """Call `condition` until it answers something true, and return that.

    `condition` may be sync or async; an AssertionError counts as "not yet". After `timeout` seconds the
    last AssertionError, or one with the last answer, is raised. Any other exception passes at once.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        failed: AssertionError | None = None
        answer: object = None
        try:
            result = condition()
            answer = await result if inspect.isawaitable(result) else result
        except AssertionError as error:
            failed = error
        if failed is None and answer:
            return answer
        if asyncio.get_running_loop().time() > deadline:
            raise failed or AssertionError(f"still {answer!r} after {timeout} s: {condition}")
        await asyncio.sleep(_POLL_SECONDS)


def until(condition: Callable[[], T], timeout: float = _DEADLINE_SECONDS) -> T:
    """As `eventually`, where a test cannot wait for a coroutine: beside a browser's own loop."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"still {answer!r} after {timeout} s: {condition}"
        time.sleep(_POLL_SECONDS)
    return answer
