"""Shows an attempt's output while another thread follows the task's events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from infra.cli.client.following.output import pieces
from infra.cli.client.http import Api
from infra.cli.output.stderr import say
from infra.errors.cli_error import CliError

GIVE_UP_SECONDS = 60.0


class LiveOutput:
    """The output of one attempt, from `start` to `finish`."""

    def __init__(self, api: Api, task_id: str, attempt: int, write: Callable[[bytes], bool]) -> None:
        """`write` shows bytes at once, and returns whether anything reads them."""
        self._api = api
        self._task_id = task_id
        self._attempt = attempt
        self._write = write
        self._shown = 0
        self._progress_at = 0.0
        self._stopped = False
        self._error: CliError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to show it."""
        self._thread.start()

    def finish(self, tail: str | None) -> None:
        """Show the rest of an attempt that has ended; if it cannot be read, the `tail` that its end says."""
        self._progress_at = time.monotonic()
        while self._thread.is_alive() and time.monotonic() - self._progress_at < GIVE_UP_SECONDS:
            self._thread.join(0.2)
        self._stopped = True
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
            except CliError as error:
                self._error = error

    def _show(self) -> None:
        for piece in pieces(self._api, self._task_id, self._attempt, 0, GIVE_UP_SECONDS):
            if self._stopped:
                return
            self._progress_at = time.monotonic()
            self._shown += len(piece.range.data)
            if piece.range.data and not self._write(piece.range.data):
                return


class Attempts:
    """Shows the outputs of a task's attempts, each between its start and its end."""

    def __init__(self, api: Api, task_id: str, write: Callable[[bytes], bool]) -> None:
        self._api = api
        self._task_id = task_id
        self._write = write
        self._live: LiveOutput | None = None
        self._finished = 0

    def started(self, attempt: int) -> None:
        """The attempt runs."""
        self._live = LiveOutput(self._api, self._task_id, attempt, self._write)
        self._live.start()

    def ended(self, attempt: int, tail: str | None) -> None:
        """The attempt has ended; again does nothing."""
        if attempt <= self._finished:
            return
        self._finished = attempt
        if self._live is None and tail:
            self.started(attempt)
        if self._live is not None:
            self._live.finish(tail)
            self._live = None
