"""Shows a task's output while another thread follows its events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

from infra.cli.client.http import Api, Json
from infra.cli.client.output import pieces
from infra.cli.output.stderr import say
from infra.errors.cli_error import CliError

GIVE_UP_SECONDS = 60.0


class LiveOutput:
    """The output of the task's first attempt, from its start to its end, and then of those that follow it."""

    def __init__(self, api: Api, task_id: str, write: Callable[[bytes], bool]) -> None:
        """`write` shows bytes at once, and returns whether anything reads them."""
        self._api = api
        self._task_id = task_id
        self._write = write
        self._attempts: SimpleQueue[int | None] = SimpleQueue()
        self._attempt = 0
        self._shown = 0
        self._progress_at = 0.0
        self._stopped = False
        self._error: CliError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to show it."""
        self._thread.start()

    def go_on(self, attempt: int) -> None:
        """Show this attempt after those before it."""
        self._attempts.put(attempt)

    def stop(self) -> None:
        """Show no more."""
        self._stopped = True
        self._attempts.put(None)

    def finish(self, task: Json) -> None:
        """Show the rest of a task that has ended; if it cannot be read, what its end says."""
        self._attempts.put(None)
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
        attempt: int | None = None
        with suppress(RuntimeError):  # the command has ended
            while not self._stopped:
                self._error, self._shown = None, 0
                try:
                    self._show(attempt)
                except CliError as error:
                    self._error = error
                attempt = self._attempts.get()
                while attempt is not None and attempt <= self._attempt:
                    attempt = self._attempts.get()
                if attempt is None:
                    return

    def _show(self, attempt: int | None) -> None:
        for piece in pieces(self._api, self._task_id, attempt, 0, GIVE_UP_SECONDS):
            if self._stopped:
                return
            self._attempt = piece.attempt
            self._progress_at = time.monotonic()
            self._shown += len(piece.range.data)
            if piece.range.data and not self._write(piece.range.data):
                return
