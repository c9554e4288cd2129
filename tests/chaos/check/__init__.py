"""The checker: takes any history and log, and says what of Towpath's promises was broken.

It reads each line and each event once, keeps what is open, and sorts the marks of a workspace: linear for all
practical purposes. It shares no code with what it judges: statuses, paths, chains and locks are read anew.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.chaos.check.appends import check_appends
from tests.chaos.check.evidence import Evidence
from tests.chaos.check.lives import Lives
from tests.chaos.check.lock_commands import check_lock_commands
from tests.chaos.check.locks import Locks
from tests.chaos.check.notices import check_notices
from tests.chaos.check.overlaps import check_overlaps
from tests.chaos.check.registrations import Registrations, check_registrations
from tests.chaos.check.settled import check_settled
from tests.chaos.check.verdict import Verdict
from tests.chaos.history import Json
from tests.chaos.raw_log import Stored, fact_of


def check(history: Iterable[Json], log: Iterable[Stored]) -> Verdict:
    """Judge a history and the log that it led to."""
    verdict, evidence = Verdict(), Evidence.of(history)
    registrations = Registrations()
    lives, locks, facts = Lives(verdict), Locks(verdict, registrations), []
    for stored in log:
        try:
            fact = fact_of(stored)
        except ValueError as error:
            verdict.add(2, "an-event", str(error))
            continue
        facts.append(fact)
        registrations.see(fact)
        lives.see(fact, stored, locks)
        locks.see(fact, lives)
    check_appends(evidence, facts, lives, verdict)
    check_registrations(evidence, registrations, verdict)
    check_overlaps(evidence, lives, locks, verdict)
    check_lock_commands(evidence, lives, verdict)
    check_settled(evidence, lives, locks, verdict)
    check_notices(evidence, facts, verdict)
    verdict.events = len(facts)
    verdict.void = len(registrations.void_registrations) + len(registrations.void_claims)
    return verdict
