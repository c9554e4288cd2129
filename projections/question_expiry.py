"""Process manager `question expiry`: answers a question with its default once its time is over.

Delivery: dispatch arms the deadline when it handles `asked`, before it acknowledges that event, so a crash
in between arms it again. An attempt has one such timer, since it has one open question: the next question's
replaces it. It may come due more than once, or about a question that was answered; the task itself is read
first.
"""

from __future__ import annotations

from domain.identifiers import TaskId
from domain.ports.queues import Deadline, Due, Timers
from domain.services.task_findings import TaskFindings

KIND = "question"
ACTOR = "question-expiry"


def deadline(task_id: TaskId, attempt: int) -> Deadline:
    """When the open question of an attempt is over."""
    return Deadline(KIND, task_id, attempt)


class QuestionExpiry:
    """Handler of deadlines of kind `question`."""

    def __init__(self, tasks: TaskFindings, timers: Timers) -> None:
        self._tasks = tasks
        self._timers = timers

    async def handle(self, came: Due) -> None:
        """Record `answered`, cause `expired`, if the attempt's question is over; else arm its time again."""
        due = came.deadline
        stored = await self._tasks.question_expired(due.task_id, due.attempt, ACTOR)
        question = stored.task.open_question
        if question is None or question.asked.attempt != due.attempt or question.asked.default is None:
            return
        assert question.asked.expires_at is not None
        await self._timers.arm(due, question.asked.expires_at)
