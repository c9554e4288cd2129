"""One timeout for a batch of reports, cheaper than one each."""

from __future__ import annotations

import asyncio
from types import TracebackType


class SharedTimeout:
    """`with shared: await …` raises TimeoutError in each task that is within once `seconds` are over.

    From then on it raises at once. `close` it once no task uses it any more.
    """

    def __init__(self, seconds: float) -> None:
        self._within: set[asyncio.Task[object]] = set()
        self._over = False
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def close(self) -> None:
        """Stop the timer."""
        self._timer.cancel()

    def __enter__(self) -> None:
        if self._over:
            raise TimeoutError
        self._within.add(_this_task())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        task = _this_task()
        self._within.discard(task)
        if self._over and isinstance(error, asyncio.CancelledError) and task.uncancel() == 0:
            raise TimeoutError from error

    def _expire(self) -> None:
        self._over = True
        for task in self._within:
            task.cancel()


def _this_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task
