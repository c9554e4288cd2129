"""The valid workspace registrations for processes that fold no log: caught up whenever somebody asks.

Which registration is valid depends on all others (two roots must not overlap), so they are folded; but they
are few, and only what was registered since the last question is read.
"""

from __future__ import annotations

import asyncio

from adapters.jetstream_api import LogUnreachable
from domain.ports.log import LogReader
from domain.workspaces import Registration, WorkspaceTable

SUBJECT = "towpath.workspace.*.*"
PAGE = 500
READ_TRIES = 6
LAG_SECONDS = 0.02


class LogRegistrations:
    """Port `Registrations`."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._table = WorkspaceTable()
        self._seq = 0
        self._reading = asyncio.Lock()

    async def current(self, workspace: str) -> Registration | None:
        """See the port.

        Raises:
            LogUnreachable: the log does not answer, or only by replicas that lag.
        """
        last = await self._reader.last_seq_of(SUBJECT)
        async with self._reading:
            for number in range(READ_TRIES):
                await self._read()
                if self._seq >= last:
                    return self._table.get(workspace)
                await asyncio.sleep(LAG_SECONDS * 2**number)
        raise LogUnreachable("the replica that was asked lags behind the last registration")

    async def _read(self) -> None:
        while events := await self._reader.page(self._seq, PAGE, SUBJECT):
            for event in events:
                self._table.fold(event)
            self._seq = events[-1].seq
            if len(events) < PAGE:
                return
