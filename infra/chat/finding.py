"""Finds the task that somebody means by the short end of its id."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from domain.chat.text import one_line
from domain.identifiers import ID_PART_PATTERN, TASK_ID_PATTERN
from infra.chat import words
from infra.chat.answers import Answer, answer
from towpath_client import AsyncClient, Task, problems

MOST_LISTED = 8


class Finding:
    """Finds tasks."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    async def task(self, api: AsyncClient, reference: str) -> Task | Answer:
        """The task whose id begins or ends so; or what to say where there is none, or more than one."""
        wanted = reference.strip().lstrip("…").lower()
        if not wanted:
            return answer("which task? Write the last 8 characters of its id; /tasks lists them")
        if re.fullmatch(TASK_ID_PATTERN, wanted):
            try:
                return await api.get(wanted)
            except problems.NoSuchTask:
                return answer("there is no task with this id")
        if not re.fullmatch(ID_PART_PATTERN, wanted):
            return answer(f"{one_line(reference, 60)} is no id: write at least 4 of its last hex digits")
        found = list[Task]()
        async for task in api.tasks(id=wanted):
            found.append(task)
            if len(found) > MOST_LISTED:
                break
        if len(found) == 1:
            return await api.get(found[0].id)
        if not found:
            return answer(f"no task has an id that ends with {wanted}")
        now = self._clock()
        lines = [f"{one.id}\n  {words.line(one, now)}" for one in found[:MOST_LISTED]]
        more = ["…"] if len(found) > MOST_LISTED else []
        return answer("\n".join([f"several tasks end with {wanted}: write more of the id", *lines, *more]))
