"""Shows a task's output while another thread follows its events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from infra.cli.client.http import Api, Json, Unreachable
from infra.cli.client.output import NoOutput, pieces
from infra.cli.exit_codes import CliError
from infra.cli.output.stderr import say

GIVE_UP_SECONDS = 60.0


class LiveOutput:
    """The output of the task's first attempt, from its start to its end."""

    def __init__(self, api: Api, task_id: str, write: Callable[[bytes], bool]) -> None:
        """`write` shows bytes at once, and returns whether anything reads them."""
        self._api = api
        self._task_id = task_id
        self._write = write
        self._shown = 0
        self._progress_at = 0.0
        self._stopped = False
        self._error: CliError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to show it."""
        self._thread.start()

    def stop(self) -> None:
        """Show no more."""
        self._stopped = True

    def finish(self, task: Json) -> None:
        """Show the rest of a task that has ended; if it cannot be read, what its end says."""
        self._progress_at = time.monotonic()
        while self._thread.is_alive() and time.monotonic() - self._progress_at < GIVE_UP_SECONDS:
            self._thread.join(0.2)
        self.stop()
        tail = task["output_tail"]
        complete = self._error is None and not self._thread.is_alive()
        if complete or not tail or self._shown:
            if not complete and tail:
                say(f"the rest of its output cannot be read: {self._error or 'no answer'}")
            return
        self._write(tail.encode("utf-8", "replace") + (b"" if tail.endswith("\n") else b"\n"))

    def _run(self) -> None:
        with suppress(RuntimeError):  # the command has ended
            try:
                self._show()
            except (NoOutput, Unreachable) as error:
                self._error = error
            except CliError as error:
                self._error = error

    def _show(self) -> None:
        for piece in pieces(self._api, self._task_id, None, 0, GIVE_UP_SECONDS):
            if self._stopped:
                return
            self._progress_at = time.monotonic()
            self._shown += len(piece.range.data)
            if piece.range.data and not self._write(piece.range.data):
                return
