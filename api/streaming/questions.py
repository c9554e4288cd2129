"""Long poll of a question: returns it as soon as it is answered, or unanswered after a time.

A waiting request holds no slot of the admission; it counts as a live stream, and is refused where no stream
is free. It is woken by this process's fold of the log, and what it answers is confirmed by the leader.
Where the API stops it answers at once, and the job asks again.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from api.dependencies import ApiParts
from api.problems import HttpProblem
from api.streaming.live_response import Streams
from domain.identifiers import TaskId
from domain.ports.log import StoredTask
from domain.task.question import QuestionStateRead, question_state

WAIT_SECONDS = 30.0


def question_now(parts: ApiParts, stored: StoredTask, question_id: str) -> QuestionStateRead:
    """The question in a task that was just loaded. NotFound where the task has none of this id."""
    task = stored.task
    question = task.question(question_id)
    return question_state(task.id, question, is_open=question is task.open_question, now=parts.clock())


async def awaited_question(
    parts: ApiParts,
    task_id: TaskId,
    question_id: str,
    seconds: float,
    streams: Streams,
    closing: asyncio.Event,
) -> QuestionStateRead:
    """The question once it is no longer open, once its time is over, or after `seconds`."""
    if seconds <= 0:
        return question_now(parts, await parts.commands.read(task_id), question_id)
    if streams.open >= streams.limit:
        raise HttpProblem(
            503, "too-many-streams", f"{streams.limit} requests wait; try again later", {"Retry-After": "5"}
        )
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    streams.open += 1
    try:
        shown = question_now(parts, await parts.commands.read(task_id), question_id)
        if _settled(shown):
            return shown
        with parts.view.listening(task_id, shown.attempt) as heard:
            while True:
                heard.clear()
                shown = question_now(parts, await parts.commands.read(task_id), question_id)
                left = min(until - loop.time(), _seconds_left(parts, shown))
                if _settled(shown) or until <= loop.time() or closing.is_set():
                    return shown
                await _either(heard, closing, max(left, 0.01))
    finally:
        streams.open -= 1


def _settled(shown: QuestionStateRead) -> bool:
    """Whether it is over for the job: without a default nothing follows from its time."""
    return shown.state != "open" or (shown.expired and shown.default is None)


def _seconds_left(parts: ApiParts, shown: QuestionStateRead) -> float:
    if shown.expires_at is None or shown.expired:
        return WAIT_SECONDS
    return (shown.expires_at - parts.clock()).total_seconds()


async def _either(heard: asyncio.Event, closing: asyncio.Event, seconds: float) -> None:
    """Wait until one of them is set, at most `seconds`."""
    waits = [asyncio.ensure_future(one.wait()) for one in (heard, closing)]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*waits, return_exceptions=True)
