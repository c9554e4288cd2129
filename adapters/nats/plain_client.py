"""nats-py's client, with three public methods corrected to do what their documentation promises.

It works with any version of nats-py from 2.16 on: it uses public members only, but for `_process_pong`, which
a version without such a method does not call. One defect remains on Python 3.11: if `close`
runs at the very end of a successful reconnection, the new connection may stay open until the event loop ends.
"""

from __future__ import annotations

import asyncio

import nats.errors
from nats.aio.client import DEFAULT_FLUSH_TIMEOUT, Client


class PlainClient(Client):
    """nats-py's own client."""

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Send one message. Raises nats.errors.Error, even if uvloop has closed the connection."""
        try:
            await super().publish(subject, payload, reply, headers)
        except RuntimeError as error:
            raise nats.errors.StaleConnectionError from error

    async def flush(self, timeout: int = DEFAULT_FLUSH_TIMEOUT) -> None:
        """Return when the server has processed all that was sent before.

        nats-py writes a PING at once, ahead of a buffered SUB; the second PING follows the SUB.
        """
        await self._flush_once(timeout)
        await self._flush_once(timeout)

    async def _flush_once(self, timeout: int) -> None:
        await super().flush(timeout)

    async def _process_pong(self) -> None:
        """As in nats-py, which reads nothing more once a PONG comes whose `flush` was given up."""
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def close(self) -> None:
        """End the connection, or the search for a server.

        nats-py cancels the search once, and `asyncio.wait_for` of Python 3.11 may lose that cancellation. The
        server pool is emptied, so that the search then finds no server. If search and `close` both wait for
        the old connection's end, `close` is canceled with the search; that cancellation is ignored.
        """
        if self.is_closed:
            return
        self.set_server_pool([])
        try:
            await super().close()
        except RuntimeError:  # uvloop refuses to write on a lost connection
            return
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
