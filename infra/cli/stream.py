"""The log as it grows, over server-sent events, across lost connections.

Every event is delivered once and in order: a new connection resumes at the last `id:` seen, which the server
also sends first of all and between events. Lines are cut at line feeds only, since JSON may hold the other
characters that Python counts as line ends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping

from infra.cli.client import Api, Json, Silent, Unreachable
from infra.cli.exits import CliError
from infra.cli.words import say

SILENCE_SECONDS = 20.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0


def events(
    api: Api, filters: Mapping[str, object], after: int | None, give_up_seconds: float
) -> Iterator[Json | None]:
    """Events behind `after` (None: from now on), for ever; None for every sign of life without an event.

    A connection that breaks is made anew, for at most `give_up_seconds` at a time.

    Raises:
        Unreachable: it cannot be made, at first or for that long.
        CliError: the API refuses.
    """
    met, lost_since, pause = False, 0.0, FIRST_PAUSE_SECONDS
    while True:
        try:
            with api.stream("/events/stream", filters, after, SILENCE_SECONDS) as chunks:
                if lost_since:
                    say("the connection is back")
                met, lost_since, pause = True, 0.0, FIRST_PAUSE_SECONDS
                for position, event in parse(chunks):
                    after = after if position is None else position
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
        yield None
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def parse(chunks: Iterable[bytes]) -> Iterator[tuple[int | None, Json | None]]:
    """The position and the JSON of each server-sent event; without JSON it says that the server lives."""
    data: list[str] = []
    position: int | None = None
    for line in _lines(chunks):
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
        elif name == "id" and value.strip().isdecimal():
            position = int(value)
        elif not line:
            yield position, _event("\n".join(data)) if data else None
            data = []


def _event(text: str) -> Json | None:
    try:
        found = json.loads(text)
    except ValueError:
        raise CliError(f"the event stream holds something else than JSON: {text[:100]!r}") from None
    return found if isinstance(found, dict) and "seq" in found else None


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")
