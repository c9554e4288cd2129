"""Both clients behind one blocking face, so that each test runs with both."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

from towpath_client import AsyncClient, AsyncLock, Client

CLIENTS = {"sync": Client, "async": AsyncClient}


class LoopThread:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


class Blocking:
    """An AsyncClient, or something of it, whose methods block."""

    def __init__(self, inner: Any, thread: LoopThread) -> None:
        self._inner, self._thread = inner, thread

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.ismethod(found):
            return found

        def blocking(*arguments: Any, **options: Any) -> Any:
            result = found(*arguments, **options)
            if inspect.iscoroutine(result):
                return self._thread.run(result)
            if isinstance(result, AsyncLock):
                return BlockingLock(result, self._thread)
            return self._items(result) if isinstance(result, AsyncIterator) else result

        return blocking

    def _items(self, items: Any) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._thread.run(anext(items))
                except StopAsyncIteration:
                    return
        finally:
            self._thread.run(items.aclose())


def opened(kind: str, *arguments: Any, **options: Any) -> Iterator[Any]:
    """A client of this kind, for a fixture."""
    if kind == "sync":
        with Client(*arguments, **options) as client:
            yield client
        return
    thread = LoopThread()
    try:
        client = AsyncClient(*arguments, **options)
        yield Blocking(client, thread)
        thread.run(client.close())
    finally:
        thread.close()


class BlockingLock:
    """An AsyncLock for `with`."""

    def __init__(self, inner: Any, thread: LoopThread) -> None:
        self._inner, self._thread = inner, thread
        self.lost = Lost(inner.lost, thread)

    def __enter__(self) -> BlockingLock:
        self._thread.run(self._inner.__aenter__())
        return self

    def __exit__(self, *left: Any) -> None:
        self._thread.run(self._inner.__aexit__(*left))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Lost:
    """An asyncio.Event as seen by another thread."""

    def __init__(self, inner: asyncio.Event, thread: LoopThread) -> None:
        self._inner, self._thread = inner, thread
        self.is_set = inner.is_set

    def wait(self, timeout: float) -> bool:
        async def waited() -> bool:
            return await asyncio.wait_for(self._inner.wait(), timeout)

        return bool(self._thread.run(waited()))
