"""One timer for many tasks: whoever is within when it is over gets TimeoutError, nobody else."""

from __future__ import annotations

import asyncio

import pytest

from api.reports.batch_timeout import SharedTimeout


async def test_all_within_are_timed_out_and_a_late_one_at_once() -> None:
    limit = SharedTimeout(0.01)

    async def waits() -> str:
        try:
            with limit:
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "never"

    assert await asyncio.gather(waits(), waits()) == ["timed out", "timed out"]
    assert await waits() == "timed out"


async def test_who_is_done_in_time_goes_on() -> None:
    limit = SharedTimeout(0.01)
    with limit:
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError):  # by the end of this the limit is over, and reaches nobody
        await asyncio.wait_for(asyncio.Event().wait(), 0.05)


async def test_a_cancellation_stays_one() -> None:
    limit = SharedTimeout(60)

    async def waits() -> None:
        with limit:
            await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    limit.close()
