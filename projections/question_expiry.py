"""Process manager `question expiry`: answers a question with its default after its deadline.

Delivery: dispatch arms the deadline when it handles `asked`, before it acknowledges that event, so a crash in
between arms it again. An attempt has one open question and therefore one such timer, which the next question
replaces. It may come due more than once, or after the answer; the handler reads the task first.
"""

from __future__ import annotations

from domain.identifiers import TaskId
from domain.ports.queues import Deadline, Due, Timers
from domain.services.task_findings import TaskFindings
from domain.task.question import EXPIRY_ACTOR

KIND = "question"


def deadline(task_id: TaskId, attempt: int) -> Deadline:
    """The deadline of the open question of an attempt."""
    return Deadline(KIND, task_id, attempt)


class QuestionExpiry:
    """Handler of deadlines of kind `question`."""

    def __init__(self, tasks: TaskFindings, timers: Timers) -> None:
        self._tasks = tasks
        self._timers = timers

    async def handle(self, came: Due) -> None:
        """Record `answered`, cause `expired`, if the question's deadline has passed; else arm it again."""
        due = came.deadline
        stored = await self._tasks.question_expired(due.task_id, due.attempt, EXPIRY_ACTOR)
        question = stored.task.open_question
        if question is None or question.asked.attempt != due.attempt or question.asked.default is None:
            return
        assert question.asked.expires_at is not None
        await self._timers.arm(due, question.asked.expires_at)
