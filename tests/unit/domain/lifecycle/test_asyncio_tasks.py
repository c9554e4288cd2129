"""What is not to be cut off runs to its end, and a cancellation takes effect after it."""

from __future__ import annotations

import asyncio

import pytest

from domain.lifecycle.asyncio_tasks import uncut


async def test_a_cancellation_waits_for_the_end() -> None:
    began, go_on, ended = asyncio.Event(), asyncio.Event(), []

    @uncut
    async def work(name: str) -> str:
        began.set()
        await go_on.wait()
        ended.append(name)
        return name

    working = asyncio.create_task(work("whole"))
    await began.wait()
    for _ in range(3):
        working.cancel()
        await asyncio.sleep(0)
    assert not working.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert ended == ["whole"]
    assert await work("again") == "again"


async def test_errors_pass_and_a_cancellation_goes_first() -> None:
    @uncut
    async def work() -> None:
        await asyncio.sleep(0)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await work()
    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
