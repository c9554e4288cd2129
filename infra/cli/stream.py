"""The log as it grows, over server-sent events, across lost connections.

Every event is delivered once and in order: a new connection resumes behind the last event seen. Lines are
cut at line feeds only, since JSON may hold the other characters that Python counts as line ends.
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

    A connection that breaks is made anew, for at most `give_up_seconds` at a time. With `after` None, what
    happens before the first event and while the connection is lost is missed.

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
                for event in parse(chunks):
                    after = event["seq"] if event else after
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


def parse(chunks: Iterable[bytes]) -> Iterator[Json | None]:
    """The JSON of each server-sent event; None for a comment, which says only that the server lives."""
    data: list[str] = []
    for line in _lines(chunks):
        if line.startswith(":"):
            yield None
        elif line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            yield _event("\n".join(data))
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
