"""One call of the API: a request, its retries, and what the answer means.

A request that was never sent may always be sent again. One whose outcome is unknown is sent again only if it
is `repeatable`: a read, or a command whose repetition changes nothing. Any other is sent again only after an
answer that proves that it had no effect.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from towpath_client.errors import NotTowpath, Problem, TimedOut, TowpathError, Unanswered, Unreachable
from towpath_client.problems import problem_class
from towpath_client.steps import Answer, Operation, Pause, Request, Send

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
ANSWER_SECONDS = 15.0
MOST_RETRY_AFTER_SECONDS = 60.0
_TRANSIENT = (408, 429, 502, 503, 504)
_NO_EFFECT = ("body-too-slow", "busy", "overloaded", "too-many-streams")
"""Codes that the API answers before a command has changed anything."""

M = TypeVar("M", bound=BaseModel)


class Deadline:
    """A point in time; None: without limit."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._at = None if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then, infinite without limit."""
        return float("inf") if self._at is None else max(0.0, self._at - time.monotonic())

    def error(self, what: str) -> TimedOut:
        """The error at that time."""
        return TimedOut(f"{what} within {self._seconds:g} s")


def pauses(longest: float = LONGEST_PAUSE_SECONDS, first: float = FIRST_PAUSE_SECONDS) -> Iterator[float]:
    """Growing pauses with jitter, without end."""
    limit = first
    while True:
        yield limit * random.uniform(0.5, 1.0)
        limit = min(2 * limit, longest)


def call(request: Request, deadline: Deadline, *, repeatable: bool) -> Operation[Answer]:
    """Send the request until it is answered; the successful answer.

    Raises:
        Problem: the API refused it.
        Unreachable, Unanswered: no answer by the deadline, or it may not be repeated.
    """
    between = pauses()
    while True:
        error: TowpathError
        wait = 0.0
        try:
            answer: Answer = yield Send(_within(request, deadline))
        except Unreachable as unreachable:
            error = unreachable
        except Unanswered as unanswered:
            if not repeatable:
                raise
            error = unanswered
        else:
            if answer.ok:
                return answer
            error = problem_of(answer)
            if not _again(error, repeatable):
                raise error
            wait = retry_after(error)
        wait = max(wait, next(between))
        if wait >= deadline.left:
            raise error
        yield Pause(wait)


def _within(request: Request, deadline: Deadline) -> Request:
    seconds = max(min(request.seconds, deadline.left), 0.001)
    return Request(request.method, request.path, request.params, request.body, request.headers, seconds)


def _again(error: TowpathError, repeatable: bool) -> bool:
    if isinstance(error, Problem) and (error.status == 429 or error.code in _NO_EFFECT):
        return True
    return repeatable and (isinstance(error, Unanswered) or getattr(error, "status", 0) in _TRANSIENT)


def retry_after(error: TowpathError) -> float:
    """Seconds that the API wants to be left alone, 0 if it has not said so."""
    return (error.retry_after or 0.0) if isinstance(error, Problem) else 0.0


def problem_of(answer: Answer) -> TowpathError:
    """The error of an answer that is none of success."""
    found = _json(answer)
    code = found.get("code") if isinstance(found, dict) else None
    if not isinstance(code, str):
        return _of_a_proxy(answer)
    extra = {name: value for name, value in found.items() if name not in _STANDARD}
    kind = problem_class(code, answer.status)
    return kind(code, answer.status, str(found.get("detail", code)), extra, _retry_after(answer.headers))


def _of_a_proxy(answer: Answer) -> TowpathError:
    if answer.status in (429, 503):
        kind = problem_class("", answer.status)
        return kind("http-error", answer.status, "not now", None, _retry_after(answer.headers))
    if answer.status in _TRANSIENT:
        return Unanswered(f"HTTP {answer.status}, of a proxy before the API")
    return NotTowpath(f"the answer is HTTP {answer.status} without a problem of Towpath: look at the URL")


_STANDARD = ("type", "title", "status", "detail", "code")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        seconds = float(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return min(seconds, MOST_RETRY_AFTER_SECONDS) if seconds >= 0 else None


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        return None


def parsed(model: type[M], answer: Answer) -> M:
    """The answer as `model`. NotTowpath for one that is something else."""
    try:
        return model.model_validate_json(answer.content)
    except ValidationError as error:
        raise not_ours(error) from None


def not_ours(error: ValidationError) -> NotTowpath:
    """The error of an answer with another shape; shows no values, which may be secret."""
    where = ", ".join(".".join(map(str, one["loc"])) for one in error.errors()[:3]) or "JSON"
    return NotTowpath(f"the answer is not what Towpath answers ({where}): look at the URL and the versions")


def page_of(model: type[M], answer: Answer) -> tuple[list[M], str | None]:
    """The items of one page, and the next page's cursor."""
    found = _json(answer)
    if not isinstance(found, dict) or not isinstance(found.get("items"), list):
        raise NotTowpath("the answer is no page of a list: look at the URL")
    try:
        return [model.model_validate(one) for one in found["items"]], found.get("next_cursor")
    except ValidationError as error:
        raise not_ours(error) from None
