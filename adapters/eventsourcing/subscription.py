"""An endless iterator over the events of all originators, as the library's own recorders offer it.

The library's base class reads page by page in a thread, so nothing is passed over; this adds who wakes
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eventsourcing.persistence import ListenNotifySubscription

if TYPE_CHECKING:
    from adapters.eventsourcing.recorders import NatsApplicationRecorder


class NatsSubscription(ListenNotifySubscription["NatsApplicationRecorder"]):
    """Use it as a context manager, or call `stop`: its thread ends with it."""

    def __init__(
        self, recorder: NatsApplicationRecorder, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        try:
            self._recorder.listen(self._has_been_notified)
        except BaseException:
            super().stop()
            raise

    def stop(self) -> None:
        """End the iteration, also one that waits in another thread."""
        super().stop()
        self._recorder.unlisten(self._has_been_notified)
