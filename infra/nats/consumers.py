"""The durable consumers that Towpath relies on."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.event_store.codec import subject_of
from domain import subjects
from domain.subjects import Stream
from projections.attempt_timer import KIND as ATTEMPT_TIMER
from projections.dispatch import ACTED_ON
from projections.dispatch import QUEUE as DISPATCH
from projections.lock_waits import KIND as LOCK_WAIT


@dataclass(frozen=True, slots=True)
class Consumer:
    """A durable consumer, its purpose (`figure`: as a label of metrics), and the process that serves it."""

    stream: str
    name: str
    figure: str
    does: str
    started_by: str
    subjects: tuple[str, ...]
    takes_all: bool = False
    """The work queue has no other consumer: its first message is the oldest unprocessed one."""


_DISPATCHED = tuple(subject_of(one) for one in ACTED_ON)
PROJECTOR = "`towpath projector`"
CONSUMERS = (
    Consumer(Stream.LOG, DISPATCH, "dispatch", "dispatch", f"{PROJECTOR} (--only dispatch)", _DISPATCHED),
    Consumer(
        Stream.TIMER,
        f"due-{ATTEMPT_TIMER}",
        "watchdog",
        "watchdog",
        f"{PROJECTOR} (--only watchdog)",
        (subjects.timer_due(ATTEMPT_TIMER),),
    ),
    Consumer(
        Stream.TIMER,
        f"due-{LOCK_WAIT}",
        "lock-waits",
        "ends of lock waits",
        f"{PROJECTOR} (--only watchdog)",
        (subjects.timer_due(LOCK_WAIT),),
    ),
    Consumer(
        Stream.REPORT,
        "report-intake",
        "reports",
        "reports over NATS",
        "`towpath api`",
        (subjects.report(),),
        takes_all=True,
    ),
)
