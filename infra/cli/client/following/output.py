"""The output of an attempt, piece by piece, across lost connections and restarts of the API.

Offsets in an output never change, so a reader goes on where it was and repeats or misses no byte.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, cycle
from typing import Any

from domain.backoff import Backoff
from domain.runners.output_range import ATTEMPT, COMPLETE, CUT, GONE, OFFSET, SIZE, OutputRange
from infra.cli.client.http import Api, Json, Unreachable, path
from infra.cli.output.stderr import say
from infra.errors.cli_error import CliError
from infra.errors.exit_codes import Exit

AWAY = "runner-away"
LIMIT = 1024 * 1024
BLOCK = 64 * 1024
AHEAD = 3
"""Under way at once; four are no faster, and nats-server, which copies each twice, holds more of them."""
AHEAD_BYTES = 840 * 1024
"""Less than fits into a NATS message, so that each piece comes whole; with 960 KiB nats-server holds more."""
WAIT_SECONDS = 5
RETRY = Backoff(first_seconds=0.1, longest_seconds=2.0)


class NoOutput(CliError):
    """The output cannot be read: its runner is away, or has none.

    `final`: that does not change any more. `tail`: what the attempt's end says.
    """

    def __init__(self, message: str, problem: Json) -> None:
        gone = problem.get("code") == GONE
        super().__init__(message, Exit.NOT_FOUND if gone else Exit.ERROR, str(problem.get("code")))
        self.final = gone or problem.get("ended") is True
        self.attempt = int(problem.get("attempt") or 0)
        tail = problem.get("output_tail")
        self.tail = tail if isinstance(tail, str) else None


@dataclass(frozen=True, slots=True)
class Piece:
    """A range, and the attempt that it is of; 0: the task has none yet."""

    attempt: int
    range: OutputRange

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.range.offset + len(self.range.data)

    @property
    def is_last(self) -> bool:
        """Whether nothing can follow."""
        return self.range.complete and self.end >= self.range.size


def piece(api: Api, task_id: str, **asked: Any) -> Piece:
    """One range. Raises NoOutput, Unreachable, CliError."""
    found = api.range(path("tasks", task_id, "output"), (GONE, AWAY), **asked)
    if isinstance(found, dict):
        raise NoOutput(str(found["detail"]), found)
    fields, body = found
    try:
        headers = {name: fields[name.lower()] for name in (ATTEMPT, OFFSET, SIZE, COMPLETE, CUT)}
        return Piece(int(headers[ATTEMPT]), OutputRange.parse(headers, body))
    except (KeyError, ValueError):
        raise CliError("the API's answer is no range of output: is it Towpath of this version?") from None


def pieces(
    api: Api, task_id: str, attempt: int | None, offset: int, give_up_seconds: float
) -> Iterator[Piece]:
    """Pieces from `offset` until the output is complete; some are empty.

    Without `attempt`: of the current one, or of the first one that will be. A lost connection and a runner
    that does not answer are tried again for `give_up_seconds`.

    Raises:
        NoOutput: it cannot be read any more.
        Unreachable: no connection for that long.
    """
    lost_since, pauses = 0.0, RETRY.pauses()
    while True:
        try:
            found = piece(api, task_id, attempt=attempt, offset=offset, limit=LIMIT, wait=WAIT_SECONDS)
        except (NoOutput, Unreachable) as error:
            if isinstance(error, NoOutput) and error.final:
                raise
            if lost_since and time.monotonic() - lost_since > give_up_seconds:
                raise
            if not lost_since:
                lost_since = time.monotonic()
                say(f"its output cannot be read now ({error}); trying again")
            time.sleep(next(pauses))
            continue
        lost_since, pauses = 0.0, RETRY.pauses()
        attempt = found.attempt or attempt
        for one in chain([found], _ahead(api, task_id, attempt, found) if attempt else ()):
            offset = one.end
            yield one
            if one.is_last:
                return


def _ahead(api: Api, task_id: str, attempt: int, behind: Piece) -> Iterator[Piece]:
    """What else is there already, in pieces that are asked for before the ones in front of them have come."""
    start, size = behind.end, behind.range.size
    asked: deque[Future[Piece]] = deque()
    with ExitStack() as stack:
        clients = cycle([stack.enter_context(api.beside()) for _ in range(AHEAD)])
        pool = stack.enter_context(ThreadPoolExecutor(AHEAD))
        try:
            while True:
                while len(asked) < AHEAD and start + AHEAD_BYTES <= size:
                    limits = {"attempt": attempt, "offset": start, "limit": AHEAD_BYTES}
                    asked.append(pool.submit(piece, next(clients), task_id, **limits))
                    start += AHEAD_BYTES
                if not asked:
                    return
                found = asked.popleft().result()
                size = max(size, found.range.size)
                yield found
                if len(found.range.data) < AHEAD_BYTES:
                    return
        except (NoOutput, Unreachable):  # asked again one by one
            return
        finally:
            for one in asked:
                one.cancel()


def pieces_so_far(api: Api, task_id: str, attempt: int | None, offset: int) -> Iterator[Piece]:
    """Pieces from `offset` up to what was there at first."""
    size = None
    while size is None or offset < size:
        found = piece(api, task_id, attempt=attempt, offset=offset, limit=LIMIT)
        attempt, offset = found.attempt or attempt, found.end
        size = found.range.size if size is None else size
        yield found
        if not found.range.data:
            return


def offset_of_last_lines(api: Api, task_id: str, attempt: int | None, lines: int) -> int:
    """Where the last `lines` lines of what is there begin; read backwards, block by block."""
    last = piece(api, task_id, attempt=attempt, offset=-1, limit=1)
    attempt, end = last.attempt or attempt, last.range.size
    if lines == 0:
        return end
    wanted = lines + (last.range.data == b"\n")
    while end > 0:
        begin = max(0, end - BLOCK)
        block = piece(api, task_id, attempt=attempt, offset=begin, limit=end - begin).range.data
        at = len(block)
        while wanted and (at := block.rfind(b"\n", 0, at)) >= 0:
            wanted -= 1
        if not wanted:
            return begin + at + 1
        end = begin
    return 0
