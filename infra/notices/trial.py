"""What each rule would have told of the last events of the log, without telling it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from adapters.event_store.reading.event_reader import JetStreamEvents
from adapters.event_store.reading.log_reader import JetStreamLogReader
from adapters.event_store.task_codec import replay
from adapters.nats.jetstream_api import JetStreamApi
from domain.identifiers import LogSeq, TaskId
from domain.log.record import Recorded
from domain.notices.rules import CONDITIONS, RECOVERED, TIMED, Fact, Rule, Rules, Subject, Trigger
from domain.notices.watches import Watch, Watches
from infra.composition import now
from infra.config.settings import Settings
from infra.nats.connection import connect
from projections.notices.teller import subject_for

MOST_EVENTS = 1000
NOT_IN_THE_LOG = CONDITIONS - TIMED - {RECOVERED}
"""Conditions that only running processes show."""


@dataclass(slots=True)
class Tried:
    """What one rule would have told of one event. `told` is None where the log cannot tell."""

    rule: int
    channel: str
    event: str
    told: int | None
    last: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


async def try_rules(settings: Settings, rules: Rules) -> tuple[int, list[Tried]]:
    """The number of events looked at, and a row for each event of each rule."""
    connection = await connect(settings, "towpath-notifier-check")
    try:
        api = JetStreamApi(connection)
        reader, tasks = JetStreamLogReader(connection, api), JetStreamEvents(api)
        after = LogSeq(max(await reader.last_seq() - MOST_EVENTS, 0))
        events = list[Recorded]()
        while left := MOST_EVENTS - len(events):
            page = await reader.page(after, left)
            if not page:
                break
            events += page
            after = page[-1].seq
        known = {task_id: await _subject(tasks, task_id) for task_id in {one.task_id for one in events}}
        return len(events), _tried(list(rules), events, known, now())
    finally:
        await connection.close()


async def _subject(tasks: JetStreamEvents, task_id: TaskId | None) -> Subject:
    events = await tasks.all(task_id) if task_id is not None else []
    return subject_for(replay(events).task if events else None, None)


def _tried(
    rules: Sequence[Rule], events: Sequence[Recorded], known: dict[TaskId | None, Subject], until: datetime
) -> list[Tried]:
    rows = {
        (number, trigger): Tried(
            number, rule.channel, str(trigger), None if trigger.name in NOT_IN_THE_LOG else 0
        )
        for number, rule in enumerate(rules, start=1)
        for trigger in rule.triggers
    }
    watches = Watches(trigger for rule in rules for trigger in rule.triggers)

    def tell(trigger: Trigger, at: datetime, subject: Subject, fact: Fact) -> list[str]:
        took = []
        for number, rule in enumerate(rules, start=1):
            row = rows.get((number, trigger))
            if row is not None and row.told is not None and rule.takes(fact):
                row.told += 1
                row.last = f"{at:%Y-%m-%d %H:%M:%SZ} {subject.title or subject.workspace or ''}".strip()
                took.append(str(number))
        return took

    def begin(upto: datetime) -> None:
        for watch in watches.due(upto):
            subject = known.get(watch.task_id, Subject())
            fact = Fact(watch.fact_id, watch.trigger, watch.due_at, (subject,))
            watches.told(watch, tell(watch.trigger, watch.due_at, subject, fact))

    def end(watch: Watch, at: datetime) -> None:
        subject = known.get(watch.task_id, Subject())
        for number in map(int, watch.told_to or ()):
            row = rows.get((number, Trigger(RECOVERED)))
            if row is not None and row.told is not None:
                row.told += 1
                row.last = f"{at:%Y-%m-%d %H:%M:%SZ} {subject.title}"

    for event in events:
        begin(event.at)
        for watch in watches.fold(event):
            end(watch, event.at)
        subject = known[event.task_id] if event.task_id is not None else Subject(workspace=event.workspace)
        trigger = Trigger(event.event)
        tell(trigger, event.at, subject, Fact(event.id, trigger, event.at, (subject,)))
    begin(until)
    return list(rows.values())
