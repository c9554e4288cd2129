"""The durable consumers that Towpath relies on."""

from __future__ import annotations

from dataclasses import dataclass

from domain.subjects import Stream
from projections.attempt_timer import KIND as ATTEMPT_TIMER
from projections.lock_waits import KIND as LOCK_WAIT
from projections.question_expiry import KIND as QUESTION
from projections.retries import CONSUMER as RETRY_PLANS
from projections.retries import KIND as RETRY


@dataclass(frozen=True, slots=True)
class Consumer:
    """A durable consumer, its purpose (`figure`: as a label of metrics), and the process that serves it."""

    stream: str
    name: str
    figure: str
    does: str
    started_by: str
    takes_all: bool = False
    """The work queue has no other consumer: its first message is the oldest unprocessed one."""


PROJECTOR = "`towpath projector`"
CONSUMERS = (
    Consumer(Stream.LOG, "dispatch", "dispatch", "dispatch", f"{PROJECTOR} (--only dispatch)"),
    Consumer(Stream.TIMER, f"due-{ATTEMPT_TIMER}", "watchdog", "watchdog", f"{PROJECTOR} (--only watchdog)"),
    Consumer(
        Stream.TIMER,
        f"due-{LOCK_WAIT}",
        "lock-waits",
        "ends of lock waits",
        f"{PROJECTOR} (--only watchdog)",
    ),
    Consumer(
        Stream.TIMER,
        f"due-{QUESTION}",
        "question-expiry",
        "questions whose time is over",
        f"{PROJECTOR} (--only watchdog)",
    ),
    Consumer(
        Stream.LOG,
        RETRY_PLANS,
        "retry-plans",
        "ended attempts that may be tried again",
        f"{PROJECTOR} (--only watchdog)",
    ),
    Consumer(Stream.TIMER, f"due-{RETRY}", "retries", "retries", f"{PROJECTOR} (--only watchdog)"),
    Consumer(Stream.REPORT, "report-intake", "reports", "reports over NATS", "`towpath api`", takes_all=True),
)
