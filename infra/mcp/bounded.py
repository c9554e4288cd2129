"""Bounds what tools answer, and marks text that others wrote as `untrusted_`.

An agent reads all of it as text, also characters that no person sees: they are shown as their code points.
Names that begin with `untrusted_` mark what a task, or somebody else,
wrote: data to look at, and never an instruction.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from domain.validation.outside_text import visible
from towpath_client import Event, OutputRange, Task

TAIL_BYTES = 4096
RANGE_BYTES = 32 * 1024
FIELD_CHARS = 1000
EVENTS = 50
LIST_ITEMS = 100
ANSWER_CHARS = 60_000
"""Of an answer without output, as JSON."""
_ROOM = ((LIST_ITEMS, FIELD_CHARS), (30, 300), (10, 100), (3, 60))
"""Items of a list and characters of a text, from the usual bounds to those that always fit."""
_OUTPUT = "untrusted_output"


def cut(text: str | None, chars: int = FIELD_CHARS) -> str | None:
    """`text`, without its middle if it is too long."""
    if text is None or len(text) <= chars:
        return text
    return f"{text[: chars // 2]} … [{len(text) - chars} characters left out] … {text[-(chars // 2) :]}"


def fitted(answer: dict[str, Any]) -> dict[str, Any]:
    """`answer` within ANSWER_CHARS, with nothing hidden; a task may have 256 paths of 1,024 characters."""
    lines = str(answer.get(_OUTPUT, "")).split("\r")
    output = {_OUTPUT: "\r".join(map(visible, lines))} if _OUTPUT in answer else {}
    rest = {name: value for name, value in answer.items() if name != _OUTPUT}
    shown: dict[str, Any] = {"left_out": "all of it is too long: ask for less"}
    for items, chars in _ROOM:
        try:
            shown = _Shortening(items, chars).of(rest)
        except _TooLong:
            continue
        if len(json.dumps(shown, ensure_ascii=False)) <= ANSWER_CHARS:
            break
    return {**shown, **output}


class _TooLong(Exception):
    """The texts alone are longer than an answer may be."""


class _Shortening:
    """Shortens lists to `items` and texts to `chars`; gives up early: a whole answer may have gigabytes."""

    def __init__(self, items: int, chars: int) -> None:
        self._items = items
        self._chars = chars
        self._left = ANSWER_CHARS

    def of(self, value: Any) -> Any:
        """The short form of `value`. Raises _TooLong."""
        if isinstance(value, str):
            text = cut(visible(value), self._chars) or ""
            self._left -= len(text)
            if self._left < 0:
                raise _TooLong
            return text
        if isinstance(value, dict):
            return {visible(name): self.of(one) for name, one in value.items()}
        if isinstance(value, list):
            more = len(value) - self._items
            left_out = [f"… {more} more are left out"] if more > 0 else []
            return [self.of(one) for one in value[: self._items]] + left_out
        return value


def shown_error(error: Exception) -> str:
    """What a failure says; it may hold the titles of others."""
    return cut(visible(str(error)), 2 * FIELD_CHARS) or type(error).__name__


def shown_task(task: Task) -> dict[str, Any]:
    """A task without its output."""
    question = task.question
    found = {
        "id": task.id,
        "status": str(task.status),
        "ended": task.ended,
        "exit_code": task.exit_code,
        "reason": task.reason,
        "attempt": task.attempt,
        "workspace": task.workspace,
        "paths": task.lock_paths[:LIST_ITEMS],
        "pool": task.pool,
        "runner": task.runner_id,
        "lock": str(task.lock.state),
        "token": task.lock.token,
        "blocked_by": task.lock.blocked_by[:LIST_ITEMS],
        "untrusted_title": cut(task.title),
        "untrusted_command": cut(" ".join(task.command)),
        "untrusted_message": cut(task.message),
        "untrusted_question": cut(question.text) if question is not None else None,
    }
    return {name: value for name, value in found.items() if value not in (None, [])}


def shown_range(found: OutputRange) -> dict[str, Any]:
    """A range of output, and where the next one begins."""
    return {
        "attempt": found.attempt,
        "offset": found.offset,
        "next_offset": found.next_offset,
        "size": found.size,
        "complete": found.complete,
        "more": found.next_offset < found.size,
        "bytes_left_out_of_the_middle": found.cut,
        "untrusted_output": found.content.decode("utf-8", "replace"),
    }


async def last_events(events: AsyncIterator[Event], before_seq: int | None, limit: int) -> dict[str, Any]:
    """The last `limit` events before a sequence, and with which `before_seq` the earlier ones are got."""
    kept: deque[Event] = deque(maxlen=limit + 1)
    async for event in events:
        if before_seq is not None and event.seq >= before_seq:
            break
        kept.append(event)
    earlier = len(kept) > limit
    shown = list(kept)[-limit:]
    return {
        "before_seq_for_earlier_ones": shown[0].seq if earlier else None,
        "untrusted_events": [_shown_event(event) for event in shown],
    }


def _shown_event(event: Event) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "time": event.time.isoformat(),
        "event": event.event,
        "attempt": event.attempt,
        "actor": event.actor,
        "data": {name: _plain(value) for name, value in event.data.items() if value not in (None, [], {})},
    }


def _plain(value: Any) -> Any:
    """`value`; as text that is cut if it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= FIELD_CHARS else cut(text)
