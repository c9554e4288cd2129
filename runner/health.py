"""`GET /health` of a runner: whether it accepts attempts, what it holds, what prevents it.

It reads memory and one count, so it can be polled every second; it never shows a secret.
"""

from __future__ import annotations

from typing import Any

from domain.identifiers import RunnerId
from runner.control.lease import Lease
from runner.errors import StateTrouble
from runner.outbox.reporter import Reporter
from runner.store.disk_guard import Storage
from runner.store.state import RunnerState


class Health:
    """Reports the state of one runner's parts."""

    def __init__(
        self, runner_id: RunnerId, state: RunnerState, storage: Storage, reporter: Reporter, lease: Lease
    ) -> None:
        self._runner_id = runner_id
        self._state = state
        self._storage = storage
        self._reporter = reporter
        self._lease = lease

    def look(self) -> dict[str, Any]:
        """`intake` is `open` or `closed`; `troubles` names, per part, the fault and its remedy."""
        usable = self._storage.usable()
        troubles = {f"reports to {way}": why for way, why in self._reporter.troubles().items()}
        if not usable:
            troubles["state"] = self._storage.trouble or "not usable"
        if not self._lease.valid:
            troubles["lease"] = "no heartbeat is acknowledged: nothing is started until one is"
        return {
            "status": "unwell" if troubles else "ok",
            "runner_id": self._runner_id,
            "intake": "open" if usable else "closed",
            "held": len(self._state.held()),
            "outbox": self._outbox(),
            "troubles": troubles,
        }

    def _outbox(self) -> int | None:
        try:
            return self._state.outbox_depth()
        except StateTrouble as trouble:
            self._storage.note(trouble)
            return None
