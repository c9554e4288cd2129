"""Rules × facts → channels: against a transcription of what the page of notices says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.notices.rules import ENDING, EVENT_NAMES, NAMES, TIMED, Fact, Rule, Rules, Subject, Trigger

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
_lengths = st.sampled_from([timedelta(minutes=10), timedelta(hours=1)])
_triggers = st.sampled_from(sorted(NAMES)).flatmap(
    lambda name: st.builds(Trigger, st.just(name), _lengths) if name in TIMED else st.just(Trigger(name))
)
_workspaces, _pools = st.sampled_from(["shop", "api"]), st.sampled_from(["default", "gpu"])
_titles = st.sampled_from(["deploy shop", "Deploy", "test"])
_labels = st.dictionaries(st.sampled_from(["team", "env"]), st.sampled_from(["web", "db"]))
_subjects = st.builds(
    Subject,
    task_id=st.just("0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"),
    title=_titles,
    workspace=st.none() | _workspaces,
    pools=st.lists(_pools, max_size=2).map(tuple),
    labels=_labels,
)
_facts = st.builds(
    Fact, st.just("id"), _triggers, st.just(AT), st.lists(_subjects, min_size=1, max_size=3).map(tuple)
)
_rules = st.builds(
    Rule,
    channel=st.sampled_from(["ops", "log", "phone"]),
    triggers=st.lists(_triggers, min_size=1, max_size=4).map(tuple),
    workspace=st.none() | _workspaces,
    pool=st.none() | _pools,
    label=st.none() | st.tuples(st.sampled_from(["team", "env"]), st.sampled_from(["web", "db"])),
    title=st.none() | st.sampled_from(["deploy*", "*", "t?st"]),
)


def _told(rule: Rule, fact: Fact) -> bool:
    """Transcribed: one of the rule's events, about a task that passes every filter that is given."""
    for subject in fact.subjects:
        passes = [
            rule.workspace in (None, subject.workspace),
            rule.pool is None or rule.pool in list(subject.pools),
            rule.label is None or rule.label in subject.labels.items(),
            rule.title is None or fnmatchcase(subject.title, rule.title),
        ]
        if str(fact.trigger) in map(str, rule.triggers) and all(passes):
            return True
    return False


@given(st.lists(_rules, max_size=6), _facts)
def test_a_fact_reaches_each_channel_with_a_fitting_rule_once(rules: list[Rule], fact: Fact) -> None:
    told = Rules(rules).channels(fact)
    assert len(told) == len(set(told))
    assert set(told) == {rule.channel for rule in rules if _told(rule, fact)}


@given(st.lists(_rules, max_size=6), _facts)
def test_only_what_some_rule_names_is_looked_at(rules: list[Rule], fact: Fact) -> None:
    made = Rules(rules)
    if fact.trigger not in made.triggers:
        assert not made.channels(fact)
    assert made.wants(fact.trigger.name) == any(
        one.name == fact.trigger.name for rule in rules for one in rule.triggers
    )


@given(
    st.lists(_rules, max_size=6), _triggers, st.lists(st.sampled_from(["ops", "log", "phone"]), unique=True)
)
def test_an_end_is_told_where_its_beginning_was(
    rules: list[Rule], began: Trigger, told_to: list[str]
) -> None:
    ended = Rules(rules).channels_of_end(began, told_to)
    assert set(ended) <= set(told_to)
    recovered = Trigger("recovered")
    for channel in told_to:
        asks = any(r.channel == channel and {began, recovered} <= set(r.triggers) for r in rules)
        assert (channel in ended) == asks


@pytest.mark.parametrize("text", [*sorted(NAMES - TIMED), "lock-waits-over 10m", "runs-over 1.5h"])
def test_what_a_rule_may_name(text: str) -> None:
    found = Trigger.parse(f" {text} ")
    assert found.name == text.split()[0]
    assert Trigger.parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fail", "no event and no condition"),
        ("", "no event and no condition"),
        ("log-room", "no event and no condition"),
        ("failed 10m", "takes no duration"),
        ("runs-over", "needs a duration"),
        ("runs-over 0", "above zero"),
        ("runs-over soon", "no duration"),
        ("lock-waits-over 40d", "too long"),
    ],
)
def test_what_no_rule_can_name(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        Trigger.parse(text)


def test_every_event_of_the_log_and_every_condition_has_a_name_of_its_own() -> None:
    assert not EVENT_NAMES & ENDING
    assert EVENT_NAMES < NAMES


def test_what_waits_for_a_person_is_urgent() -> None:
    urgent = {name for name in NAMES if Fact("id", Trigger(name), AT, ()).urgent}
    assert urgent == {"asked", "awaiting-operator"}
