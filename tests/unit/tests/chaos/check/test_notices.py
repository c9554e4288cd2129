"""What a receiver was told, held against the log: all of it, nothing else, and nothing twice unmarked."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.chaos.check.evidence import Evidence
from tests.chaos.check.notices import check_notices
from tests.chaos.check.verdict import Verdict
from tests.chaos.raw_log import Fact

NOTIFIED = {"line": "notified", "at": 0.0, "events": ["failed", "asked"]}
SETTLED = {"line": "settled", "at": 9.0}


def _fact(seq: int, name: str) -> Fact:
    return Fact(seq, "task", "t", name, f"event-{seq}", seq, 1, {}, 0.0)


LOG = [_fact(1, "created"), _fact(2, "asked"), _fact(3, "failed")]


def _told(seq: int, name: str, again: bool = False) -> dict[str, object]:
    return {"line": "told", "at": 1.0, "notice": f"event-{seq}", "name": name, "again": again}


def _judged(*lines: dict[str, object]) -> Verdict:
    verdict = Verdict()
    check_notices(Evidence.of([NOTIFIED, *lines]), LOG, verdict)
    return verdict


def _rules(verdict: Verdict) -> Iterable[str]:
    return [rule for item, rule in sorted(verdict.rules()) if item == 6]


def test_what_was_told_once_or_marked_is_fine() -> None:
    told = [_told(2, "asked"), _told(3, "failed", again=True), _told(2, "asked", again=True), SETTLED]
    verdict = _judged(*told)
    assert (verdict.violations, verdict.unchecked) == ([], [])


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ([_told(2, "asked"), _told(3, "failed"), _told(3, "failed")], "told-twice"),
        ([_told(2, "asked")], "never-told"),
        ([_told(2, "asked"), _told(3, "failed"), _told(1, "created")], "told-wrongly"),
        ([_told(2, "failed"), _told(3, "failed")], "told-wrongly"),
        ([_told(2, "asked"), _told(3, "forged")], "told-wrongly"),
    ],
)
def test_what_is_wrong_is_found(told: list[dict[str, object]], rule: str) -> None:
    assert _rules(_judged(*told, SETTLED)) == [rule]


def test_without_time_to_tell_all_nothing_is_missed() -> None:
    verdict = _judged(_told(2, "asked"))
    assert verdict.violations == []
    assert len(verdict.unchecked) == 1


def test_a_run_without_a_notifier_is_not_judged() -> None:
    verdict = Verdict()
    check_notices(Evidence.of([SETTLED]), LOG, verdict)
    assert (verdict.violations, verdict.unchecked) == ([], [])
