"""Item 6: whatever a rule names is told, and told twice only where that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.chaos.check.evidence import Evidence
from tests.chaos.check.verdict import Verdict
from tests.chaos.raw_log import Fact

SHOWN = 20


def check_notices(evidence: Evidence, facts: Iterable[Fact], verdict: Verdict) -> None:
    """Hold what the receiver was told against the log; a run without a notifier has nothing to hold."""
    if not evidence.notified:
        return
    wanted = {fact.id: fact for fact in facts if fact.name in evidence.notified}
    plain = Counter(line["notice"] for line in evidence.told if not line["again"])
    told = {line["notice"]: line["name"] for line in evidence.told}
    for id, times in plain.items():
        if times > 1:
            verdict.add(6, "told-twice", f"{id} ({told[id]}) was told {times} times without being marked")
    for id, name in told.items():
        if id not in wanted or wanted[id].name != name:
            verdict.add(6, "told-wrongly", f"it was told {name} of {id}, which the log does not say")
    if not evidence.settled:
        verdict.unchecked.append("item 6: the history does not say that there was time to tell all")
        return
    missing = [fact for id, fact in wanted.items() if id not in told]
    for fact in missing[:SHOWN]:
        verdict.add(6, "never-told", f"nobody was told of event {fact.seq} ({fact.name} of {fact.entity})")
    if len(missing) > SHOWN:
        verdict.add(6, "never-told", f"and of {len(missing) - SHOWN} more")
