"""nats-py's client with a short cut for reading a whole log: messages as bytes, in the order they come.

Whoever checks every byte needs the header block as it is stored, and a million messages should not each
cost a parsed dictionary, an object and a task switch. A tapped subscription's messages go to a plain
function instead; all others take nats-py's own way.
"""

from __future__ import annotations

from collections.abc import Callable

from nats.aio.subscription import Subscription

from adapters.nats_client import FastClient

Take = Callable[[bytes, bytes, bytes, bytes], None]
"""Gets subject, reply, header block (b"" without one) and data of a message."""


class TapClient(FastClient):
    """A client some of whose subscriptions are tapped."""

    _taps: dict[int, Take] | None = None

    async def tap(self, subject: str, take: Take) -> Subscription:
        """Subscribe; `take` gets each message."""
        subscription = await self.subscribe(subject)
        if self._taps is None:
            self._taps = {}
        self._taps[subscription._id] = take
        return subscription

    def untap(self, subscription: Subscription) -> None:
        """Forget a tap whose subscription has ended."""
        if self._taps is not None:
            self._taps.pop(subscription._id, None)

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        take = self._taps.get(sid) if self._taps is not None else None
        if take is None:
            await super()._process_msg(sid, subject, reply, data, headers)  # type: ignore[arg-type]
            return
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        take(subject, reply, headers or b"", data)
