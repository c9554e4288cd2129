"""Server-sent events of the log, across lost connections.

Every event is delivered once and in order: a new connection resumes at the last `id:` seen, which the server
also sends at the start and between events. If the log was replaced meanwhile, the reader gets a message and
all events after the last seen one that still exists (`resume.py`). Lines end at line feeds
only: JSON may hold other characters that Python counts as line ends.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping

from domain.backoff import Backoff
from domain.log.position import BEYOND, OTHER_LOG, Position
from infra.cli.client.answers import Answer, parsed
from infra.cli.client.following.resume import LastSeen
from infra.cli.client.http import Api, Json, Silent, Unreachable
from infra.cli.output.stderr import say
from infra.errors.cli_error import CliError

SILENCE_SECONDS = 20.0
EVENT_BYTES = 16 * 1024 * 1024
"""Limit of one line, and of one event's lines together."""
LINE_COST_BYTES = 64
"""What Python keeps of a line besides its text: a server may send empty ones without end."""
RETRY = Backoff(first_seconds=0.2, longest_seconds=5.0)
_POSITION = ": position "
_SEQ = re.compile("[0-9]{1,19}")


def events(
    api: Api, filters: Mapping[str, object], after: int | None, give_up_seconds: float
) -> Iterator[Json | None]:
    """Events after `after` (None: from now on), without end; None for each keep-alive without an event.

    A broken connection is retried for at most `give_up_seconds`. It resumes after the last event seen or, if
    the log was replaced, after the last one that still exists, with a message.

    Raises:
        Unreachable: no connection, at first or for that long.
        CliError: the API rejects the request.
    """
    met, lost_since, pauses = False, 0.0, RETRY.pauses()
    seen = LastSeen(after)
    while True:
        try:
            with api.stream("/events/stream", filters, seen.position, SILENCE_SECONDS) as chunks:
                if lost_since:
                    say("the connection is back")
                met, lost_since, pauses = True, 0.0, RETRY.pauses()
                for position, event in parse(chunks):
                    if position is not None:
                        seen.note(position)
                    yield event
        except Silent:
            yield None
            continue
        except Unreachable:
            if not met or (lost_since and time.monotonic() - lost_since > give_up_seconds):
                raise
            if not lost_since:
                lost_since = time.monotonic()
                say("the connection is lost; trying again")
        except CliError as error:
            if not met or error.code not in (BEYOND, OTHER_LOG):
                raise
            with contextlib.suppress(Unreachable):
                _say_replaced(*seen.go_back(api))
        yield None
        time.sleep(next(pauses))


def _say_replaced(standing: Position, reached: Position) -> None:
    say(
        "the log was replaced: it was restored from an older backup, or is another one. What was seen behind "
        f"sequence {standing.seq} (up to {reached.seq}) is not in it; what is in it follows from there"
    )


def parse(chunks: Iterable[bytes]) -> Iterator[tuple[Position | None, Json | None]]:
    """The position and the JSON of each server-sent event; without JSON it is a keep-alive."""
    data: list[str] = []
    size = 0
    position: Position | None = None
    for line in _lines(chunks):
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
            size += len(line) + LINE_COST_BYTES
            _check(size)
        elif name == "id" and _SEQ.fullmatch(value.strip()):
            position = Position(int(value))
        elif line.startswith(_POSITION):
            with contextlib.suppress(ValueError):
                position = Position.parse(line.removeprefix(_POSITION))
        elif not line:
            event = _event("\n".join(data)) if data else None
            if position is not None and event is not None and event.get("id"):
                position = Position(position.seq, str(event["id"]))
            yield position, event
            data, size = [], 0


def _event(text: str) -> Json | None:
    found = parsed(text.encode("utf-8", "surrogatepass"))
    if found is None:
        raise CliError("the event stream holds something else than JSON: is it Towpath?")
    return found if isinstance(found, Answer) and "seq" in found else None


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        _check(len(rest))
        for line in lines:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")


def _check(size: int) -> None:
    if size > EVENT_BYTES:
        raise CliError(f"an event of the stream has more than {EVENT_BYTES} bytes: is it Towpath?")
