"""The checker itself: silent on what the domain really does, and each planted bug is found as what it is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.log.events import EVENTS
from tests.chaos.check import check
from tests.chaos.check.appends import op_in
from tests.chaos.check.lives import MAY_FOLLOW
from tests.chaos.history import History, Json, read_history
from tests.chaos.raw_log import Stored, fact_of, write_log
from tests.support.repository import REPO
from tests.unit.tests.chaos.small_run import PLANTS, SmallRun

CAUGHT_BY = {
    "plain-append": (2, "version"),
    "release-on-cancel-requested": (3, "cause"),
    "lost-outbox-row": (5, "report-lost"),
    "skipping-fold": (5, "model"),
    "granting-twice": (3, "two-holders"),
}


def test_it_knows_every_event_of_a_task() -> None:
    assert {"created", *MAY_FOLLOW} == {name for kind, name in EVENTS if kind == "task"}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_a_clean_run_raises_no_alarm(seed: int) -> None:
    run = SmallRun(seed).play()
    verdict = check(run.history, run.log)
    assert verdict.violations == []
    assert verdict.events == len(run.log)
    assert [why for why in verdict.unchecked if "item 5" in why] == []


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_a_clean_run_with_retries_and_questions_raises_no_alarm(seed: int) -> None:
    run = SmallRun(seed, more=True).play()
    assert check(run.history, run.log).violations == []


def _changed(log: list[Stored], event: str, old: str, new: str) -> list[Stored]:
    """`log`, with the first `event` that has `old` in its data changed, and its chain made anew."""
    place = next(place for place, one in enumerate(log) if one.subject.endswith(event) and old in one.data)
    return [*log[:place], replace(log[place], data=log[place].data.replace(old, new)), *log[place + 1 :]]


@pytest.mark.parametrize(
    ("event", "old", "new", "rule"),
    [
        (".created", '"max_attempts":3', '"max_attempts":1', "retry"),
        (".created", '"backoff_seconds":2.0', '"backoff_seconds":200.0', "retry"),
        (".created", '"on":["exit"]', '"on":["no-runner"]', "retry"),
        (".answered", '"cause":"person"', '"cause":"expired"', "question"),
        (".answered", '"question_id":"q', '"question_id":"qq', "question"),
        (".asked", '"free_text":true', '"free_text":false', "question"),
        (".asked", '"default":"no"', '"default":"go"', "question"),
    ],
)
def test_a_wrong_retry_or_answer_is_found(event: str, old: str, new: str, rule: str) -> None:
    run = SmallRun(11, more=True).play(200)
    log = run.log
    if event == ".created":
        for number in range(sum('"max_attempts":3' in one.data for one in log)):
            log = _changed(log, event, old, new)
            assert number < len(log)
    elif event == ".asked":
        while any(one.subject.endswith(event) and old in one.data for one in log):
            log = _changed(log, event, old, new)
    else:
        log = _changed(log, event, old, new)
    assert (2, rule) in check(run.history, log).rules()
    assert (2, rule) not in check(run.history, run.log).rules()


def test_a_retry_over_a_cancel_a_cancel_without_a_retry_and_a_retry_that_never_came_are_found() -> None:
    run = SmallRun(11, more=True).play(200)
    place = next(
        place
        for place, one in enumerate(run.log)
        if one.subject.endswith(".dispatched") and '"by":"retry"' in one.data
    )
    retried = run.log[place]
    task, attempt = retried.subject.split(".")[2], int(retried.headers["ce-attempt"]) - 1
    data = {"attempt": attempt, "by": "ann", "reason": None}
    headers = {**retried.headers, "ce-id": "x", "ce-attempt": str(attempt)}
    subject = retried.subject.replace("dispatched", "cancel-requested")
    asked = Stored(retried.seq, subject, headers, json.dumps(data))
    over = [*run.log[:place], asked, replace(retried, seq=retried.seq + 1)]
    assert (2, "retry") in check([], over).rules()
    assert (2, "retry") not in check([], run.log[: place + 1]).rules()
    assert (2, "transition") not in check([], over[:-1]).rules()
    twice = [*over[:-1], replace(asked, seq=asked.seq + 1, headers={**headers, "ce-id": "y"})]
    assert (2, "transition") in check([], twice).rules()
    cut = check([*run.history], run.log[:place])
    assert any(one.rule == "never-retried" and task in one.what for one in cut.violations)


def test_a_runner_that_is_shown_after_its_goodbye_is_found() -> None:
    run = _run()
    run.history.append({"line": "goodbye", "runner": "visitor-1", "at": 0.0})
    run.history.append({"line": "runners", "api": "api1", "shown": ["r1"], "at": 0.0})
    assert check(run.history, run.log).violations == []
    run.history.append({"line": "runners", "api": "api2", "shown": ["r1", "visitor-1"], "at": 0.0})
    assert check(run.history, run.log).rules() == {(5, "left-shown")}


@pytest.mark.parametrize("plant", PLANTS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_planted_bug_is_caught_by_the_check_meant_for_it(plant: str, seed: int) -> None:
    run = SmallRun(seed, plant).play(20)
    assert CAUGHT_BY[plant] in check(run.history, run.log).rules()


def _run() -> SmallRun:
    return SmallRun(11).play()


def _answered(run: SmallRun, do: str) -> tuple[Json, Json]:
    """An operation that led to an event, as it was asked and as it was answered."""
    said = {op_in(fact_of(one)) for one in run.log if one.subject.startswith("towpath.task.")}
    asked = {line["op"]: line for line in run.history if line["line"] == "invoke" and line["do"] == do}
    answers = (line for line in run.history if line["line"] == "ok" and line["op"] in asked)
    answer = next(line for line in answers if line["op"] in said)
    return asked[answer["op"]], answer


def test_an_acknowledged_append_that_stands_elsewhere_or_nowhere_is_found() -> None:
    run = _run()
    _answered(run, "report")[1]["seq"] += 1
    assert check(run.history, run.log).rules() == {(1, "not-there")}
    run = _run()
    asked, answer = _answered(run, "create")
    asked["op"] = answer["op"] = 10_000
    assert (1, "lost") in check(run.history, run.log).rules()


def test_a_refused_append_that_stands_is_found_unless_a_proxy_sent_it_twice() -> None:
    run = _run()
    asked, answer = _answered(run, "create")
    answer["line"] = "fail"
    assert check(run.history, run.log).rules() == {(1, "refused-stands")}
    run.history.append({"line": "replayed", "op": asked["op"], "at": 0})
    assert check(run.history, run.log).rules() == set()


def test_a_refused_dispatch_that_stands_is_found_by_counting() -> None:
    run = _run()
    started = {one.subject.split(".")[2] for one in run.log if one.subject.endswith(".dispatched")}
    op = next(line for line in run.history if line.get("do") == "dispatch" and line["task"] in started)
    outcome = next(line for line in run.history if line["line"] == "ok" and line["op"] == op["op"])
    outcome["line"] = "fail"
    assert (1, "refused-stands") in check(run.history, run.log).rules()


def test_an_unknown_append_that_stands_twice_is_found() -> None:
    run = _run()
    one = next(one for one in run.log if one.subject.endswith(".created"))
    twin = replace(one, seq=len(run.log) + 1)
    assert (1, "twice") in check(run.history, [*run.log, twin]).rules()


def test_an_acknowledged_dispatch_that_began_no_attempt_of_its_own_is_found() -> None:
    run = _run()
    op = next(line for line in run.history if line.get("do") == "dispatch")
    answer = next(line for line in run.history if line["line"] == "ok" and line["op"] == op["op"])
    run.history += [{**op, "op": 10_000}, {**answer, "op": 10_000}]
    assert check(run.history, run.log).rules() == {(1, "lost")}


def test_more_attempts_than_dispatches_are_found() -> None:
    run = SmallRun(1).play()
    refused = {line["op"] for line in run.history if line["line"] == "fail"}
    run.history = [line for line in run.history if line.get("op") not in refused]
    dispatched = [line for line in run.history if line.get("do") == "dispatch"]
    two = next(line for line in dispatched if sum(o["task"] == line["task"] for o in dispatched) > 1)
    run.history = [line for line in run.history if line.get("op") != two["op"]]
    assert check(run.history, run.log).rules() == {(1, "twice")}
    other = next(o for o in dispatched if o["task"] == two["task"] and o is not two)
    run.history.append({"line": "replayed", "op": other["op"], "at": 0})  # a proxy sent that one twice
    assert check(run.history, run.log).rules() == set()


def test_a_report_that_nats_kept_and_nobody_applied_is_found() -> None:
    run = _run()
    ended = next(one for one in run.log if one.subject.endswith(".succeeded"))
    task, attempt = ended.subject.split(".")[2], int(ended.headers["ce-attempt"])
    asked = {"line": "invoke", "op": 10_000, "do": "report", "task": task, "attempt": attempt, "by": "nats"}
    kept = {"line": "ok", "op": 10_000}
    assert check([*run.history, {**asked, "status": "succeeded"}, kept], run.log).violations == []
    lost = [*run.history, {**asked, "status": "failed"}, kept]
    assert check(lost, run.log).rules() == {(1, "lost")}
    dead = {"line": "dead", "task": task, "attempt": attempt, "status": "failed"}
    assert check([*lost, dead], run.log).violations == []


def test_an_acknowledged_release_of_what_was_never_released_is_found() -> None:
    run = _run()
    free = next(one.subject.split(".")[2] for one in run.log if '"workspace":null' in one.data)
    run.history.append({"line": "invoke", "op": 10_000, "do": "release", "task": free})
    run.history.append({"line": "ok", "op": 10_000, "released": True})
    assert check(run.history, run.log).rules() == {(1, "lost")}


def test_a_cancel_that_does_not_wait_for_the_runner_is_found() -> None:
    run = _run()
    running = next(one for one in run.log if one.subject.endswith(".running"))
    log = run.log[: running.seq]
    data = {"attempt": int(running.headers["ce-attempt"]), "by": "ann", "reason": None, "runner_id": None}
    version = int(running.headers["ce-entityversion"]) + 1
    headers = {**running.headers, "ce-id": "x", "ce-entityversion": str(version)}
    subject = running.subject.replace("running", "canceled")
    log.append(Stored(running.seq + 1, subject, headers, json.dumps(data)))
    assert (2, "canceled") in check([], log).rules()


def test_a_job_that_goes_on_writing_beside_the_next_one_is_found() -> None:
    run = SmallRun(3, "beside").play()
    assert (4, "overlap") in check(run.history, run.log).rules()


def test_a_job_that_lives_on_after_its_end_was_recorded_is_found() -> None:
    run = _run()
    mark = next(line for line in reversed(run.history) if line["line"] == "mark")
    run.history.append({**mark, "alive": run.history[-1]["at"]})
    assert (4, "alive-after-end") in check(run.history, run.log).rules()
    run.history.append({"line": "run", "at": 0.0, "wall": 0.0})
    assert any("wall clock" in why for why in check(run.history, run.log).unchecked)


def test_a_mark_with_a_wrong_token_or_without_a_recorded_start_is_found() -> None:
    run = _run()
    mark = next(line for line in run.history if line["line"] == "mark")
    run.history.append({**mark, "mark": "begin", "token": 1})
    run.history.append({**mark, "mark": "begin", "attempt": 9, "token": None})
    assert {(4, "token"), (4, "start-gate")} <= check(run.history, run.log).rules()


def test_what_was_left_behind_is_found() -> None:
    run = _run()
    for line in run.history:
        if line["line"] == "outbox":
            line["rows"] = 1
        elif line["line"] == "locks":
            line["waiters"] = [["t", 1]]
        elif line["line"] == "model" and line["model"] == "postgres":
            line["position"] -= 1
    run.history.insert(0, {"line": "unreadable", "model": "replay", "why": "no such table"})
    rules = check(run.history, run.log).rules()
    assert rules == {(5, "outbox"), (5, "lock-view"), (5, "model-position"), (5, "model-unreadable")}
    assert (5, "never-ended") in check(run.history, run.log[:-3]).rules()


def test_a_hole_and_a_changed_event_are_found() -> None:
    run = _run()
    assert {(2, "hole"), (2, "version")} <= check([], run.log[:4] + run.log[5:]).rules()
    first = next(place for place, one in enumerate(run.log) if one.subject.endswith(".created"))
    changed = replace(run.log[first], data=run.log[first].data.replace('"t"', '"u"'))
    assert check([], [*run.log[:first], changed, *run.log[first + 1 :]]).rules() == {(2, "chain")}


def test_the_checker_can_be_used_by_itself(tmp_path: Path) -> None:
    for plant, code in ((None, 0), ("granting-twice", 1)):
        run = SmallRun(7, plant).play()
        history = History(tmp_path / "history.jsonl")
        for line in run.history:
            history.note(**{name: value for name, value in line.items() if name != "at"})
        history.close()
        assert len(list(read_history(history.path))) == len(run.history)
        write_log(tmp_path / "log.jsonl", run.log)
        done = subprocess.run(
            [sys.executable, "-m", "tests.chaos.check", history.path, tmp_path / "log.jsonl"],
            capture_output=True, text=True, check=False, cwd=REPO,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert ("VIOLATIONS" in done.stdout) == bool(code)
