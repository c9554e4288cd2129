"""Maps the aggregate's pending events to messages, and recorded events to the aggregate's."""

from __future__ import annotations

from collections.abc import Iterable

from eventsourcing.utils import get_topic

from adapters.event_store.codec import Message, encode
from domain.context.trace import current_traceparent
from domain.log.events import EVENTS
from domain.log.record import Recorded
from domain.ports.log import StoredTask
from domain.task.aggregate import Task
from domain.task.events import TASK_EVENTS, Created, TaskEvent


def pending_message(stored: StoredTask, message_id: str) -> Message:
    """The message that appends the task's one pending event."""
    (event,) = stored.task.pending_events
    assert isinstance(event, TaskEvent)
    return encode(
        "task",
        event.originator_id,
        event.NAME,
        event.data,
        id=message_id,
        version=event.originator_version,
        at=event.timestamp,
        actor=event.actor,
        expected_seq=stored.seq,
        previous_chain=stored.chain,
        traceparent=current_traceparent(),
    )


def replay(events: Iterable[Recorded]) -> StoredTask:
    """The task folded from `events`, all of one task from its first on.

    Raises:
        ValueError: the events are not a contiguous history.
    """
    task: Task | None = None
    last: Recorded | None = None
    for event in events:
        if event.version != (last.version if last else 0) + 1:
            raise ValueError(
                f"task {event.subject_id}: version {event.version} at sequence {event.seq} does not follow on"
            )
        task = task_event(event).mutate(task)
        last = event
    if task is None or last is None:
        raise ValueError("a task has at least one event")
    return StoredTask(task, last.seq, last.chain, fresh=True)


def task_event(event: Recorded) -> TaskEvent:
    """The aggregate's event for a recorded one; its data is validated."""
    event_class = TASK_EVENTS[event.event]
    fields = {
        "originator_id": event.subject_id,
        "originator_version": event.version,
        "timestamp": event.at,
        "actor": event.actor,
        "data": EVENTS[("task", event.event)].model_validate(event.data),
    }
    if event_class is Created:
        fields["originator_topic"] = get_topic(Task)
    return event_class(**fields)
