"""nats-py's client with three public methods that keep what their documentation promises.

Only public members are used, so this works with any version of nats-py from 2.16 on. One weakness stays on
Python 3.11: where `close` meets the very end of a successful reconnection, the new connection may stay open
until the event loop ends.
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
        """Send one message. Raises nats.errors.Error, also where uvloop has closed the connection already."""
        try:
            await super().publish(subject, payload, reply, headers)
        except RuntimeError as error:
            raise nats.errors.StaleConnectionError from error

    async def flush(self, timeout: int = DEFAULT_FLUSH_TIMEOUT) -> None:
        """Return when the server has seen all that was sent before.

        nats-py writes a PING at once, ahead of a SUB that waits to be written; a second PING comes behind it.
        """
        await super().flush(timeout)
        await super().flush(timeout)

    async def close(self) -> None:
        """End the connection, or the search for a server.

        nats-py cancels that search once. `asyncio.wait_for` of Python 3.11 may lose that: then the search has
        to find no server. And where it waits for the old connection's end, `close` waits for the same, and is
        canceled with it.
        """
        if self.is_closed:
            return
        self.set_server_pool([])
        try:
            await super().close()
        except RuntimeError:  # uvloop refuses what is still to be written on a lost connection
            return
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
