"""One line on stderr about what is waited for: renewed on a terminal, else a line for each change."""

from __future__ import annotations

import os
from contextlib import suppress

from domain.runners.runner_key import host_of
from infra.lock.stderr import printable, write

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any

_NUMBERS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class WaitingLine:
    """Shows the newest sentence."""

    def __init__(self, handle: int = 2) -> None:
        self._handle = handle
        self._terminal = os.isatty(handle)
        self._shown = ""

    def show(self, text: str) -> None:
        """Show `text`, if it is not there already."""
        text = printable(text)
        if text == self._shown:
            return
        self._shown = text
        if self._terminal:
            with suppress(OSError):
                columns = os.get_terminal_size(self._handle).columns
                text = text[: columns - 1] if columns > 1 else text
        write(f"\r\x1b[2K{text}" if self._terminal else f"{text}\n", self._handle)

    def clear(self) -> None:
        """Leave nothing of it on a terminal."""
        if self._shown and self._terminal:
            write("\r\x1b[2K", self._handle)
        self._shown = ""


def sentence(task: dict[str, Any], why: dict[str, Any]) -> str:
    """`waits for src/api in shop: build on host-7 (token 37) since 12:00:03, one before you`."""
    start = f"waits for {_what(task)}"
    blocked_by = why["blocked_by"]
    if not blocked_by:
        return f"{start}: about to be decided"
    before = sum(not one["holds"] for one in blocked_by)
    first = blocked_by[0]
    if not first["holds"]:
        return f"{start}, behind {first['title'] or first['task_id']}, which waits{_before(before - 1)}"
    more = _more(len(blocked_by) - before - 1)
    return f"{start}: {_holder(first, first['title'])}{more}{_before(before)}"


def held_by(claim: dict[str, Any], holder: dict[str, Any], title: str, others: int = 0) -> str:
    """Why a claim that does not wait was refused; `others`: how many are in its way beside `holder`."""
    if holder.get("token") is None:
        return f"{_what(claim)} is locked: {title} waits for it{_more(others)}"
    return f"{_what(claim)} is locked: {_holder(holder, title)}{_more(others)}"


def _what(claim: dict[str, Any]) -> str:
    paths = " and ".join(claim["lock_paths"])
    return f"{paths} in {claim['workspace']}" if paths else f"all of {claim['workspace']}"


def _holder(holder: dict[str, Any], title: str | None) -> str:
    where = f" on {host_of(holder['runner_id'])}" if holder.get("runner_id") else ""
    since = f" since {_local(holder['since'])}" if holder.get("since") else ""
    return f"{title or holder['task_id']}{where} (token {holder['token']}){since}"


def _more(others: int) -> str:
    return f" and {others} more" if others else ""


def _before(count: int) -> str:
    if count <= 0:
        return ""
    return f", {_NUMBERS[count] if count < len(_NUMBERS) else count} before you"


def _local(at: str) -> str:
    from datetime import datetime

    return datetime.fromisoformat(at).astimezone().strftime("%H:%M:%S")
