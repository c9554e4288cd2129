"""Histories that a forger has chained and numbered correctly, but that Towpath would not have recorded."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.integration.infra.audit.evidence import Evidence, Message, rechained


def _index(evidence: Evidence, event: str, nth: int = 1) -> int:
    return evidence.seq_of(event, nth) - 1


async def _found(evidence: Evidence, log: list[Message], start: int) -> tuple[int, str, str]:
    """What verifying finds in `log`, whose chains are computed anew from index `start` on."""
    await evidence.write(rechained(log, start), [])
    first = (await evidence.verified()).first
    assert first is not None, "nothing was found"
    return first.seq, first.kind, first.sentence


def _numbered(log: list[Message]) -> list[Message]:
    """With versions as they must be."""
    versions: dict[str, int] = {}
    made = []
    for message in log:
        line = message.subject.rpartition(".")[0]
        versions[line] = versions.get(line, 0) + 1
        made.append(message.with_header("ce-entityversion", str(versions[line])))
    return made


def _again(message: Message, name: str = "again") -> Message:
    return message.with_header("ce-id", name).with_header("Nats-Msg-Id", name)


async def test_a_lock_granted_while_another_holds_it(evidence: Evidence) -> None:
    """The release before the second grant is gone, as if the first holder had never let go."""
    at = _index(evidence, "released")
    log = _numbered([*evidence.log[:at], *evidence.log[at + 1 :]])
    seq, kind, sentence = await _found(evidence, log, at)
    assert (seq, kind) == (evidence.seq_of("granted", 2) - 1, "lock")
    assert "was owed since" in sentence


async def test_a_lock_released_without_a_cause(evidence: Evidence) -> None:
    at = _index(evidence, "granted") + 1
    release = next(one for one in evidence.log if one.subject.endswith(".released"))
    early = _again(release).with_data(seen_seq=at)
    log = _numbered([*evidence.log[:at], early, *evidence.log[at:]])
    seq, kind, sentence = await _found(evidence, log, at)
    assert (seq, kind) == (at + 1, "lock")
    assert "nothing has ended attempt 1" in sentence


async def test_a_release_that_names_another_cause(evidence: Evidence) -> None:
    at = _index(evidence, "released")
    log = list(evidence.log)
    log[at] = log[at].with_data(cause="operator", by="operator:eve")
    seq, kind, sentence = await _found(evidence, log, at)
    assert (seq, kind) == (at + 1, "lock")
    assert "by operator:eve as its cause; it is failed at" in sentence


async def test_a_lock_granted_for_other_paths(evidence: Evidence) -> None:
    at = _index(evidence, "granted")
    log = list(evidence.log)
    log[at] = log[at].with_data(paths=["elsewhere"])
    assert (await _found(evidence, log, at))[:2] == (at + 1, "lock")


async def test_a_start_without_the_lock(evidence: Evidence) -> None:
    at = _index(evidence, "granted", 2)
    running = evidence.log[_index(evidence, "queued")]
    rest = [one for one in evidence.log[at:] if one is not running]
    log = _numbered([*evidence.log[:at], running, *rest])
    seq, kind, sentence = await _found(evidence, log, at)
    assert (seq, kind) == (at + 1, "transition")
    assert "without the lock" in sentence


async def test_a_report_of_another_runner(evidence: Evidence) -> None:
    at = next(
        number
        for number, one in enumerate(evidence.log)
        if one.subject.endswith(".running") and number > _index(evidence, "queued")
    )
    log = list(evidence.log)
    log[at] = log[at].with_data(runner_id="r2")
    seq, kind, sentence = await _found(evidence, log, at)
    assert (seq, kind) == (at + 1, "transition")
    assert "bound to r1" in sentence


async def test_an_end_of_an_attempt_that_has_ended(evidence: Evidence) -> None:
    at = _index(evidence, "failed") + 1
    log = _numbered([*evidence.log[:at], _again(evidence.log[at - 1]), *evidence.log[at:]])
    seq, kind, sentence = await _found(evidence, log, at)
    assert (seq, kind) == (at + 1, "transition")
    assert "cannot follow in status failed" in sentence


async def test_an_event_of_an_attempt_that_is_not_current(evidence: Evidence) -> None:
    at = _index(evidence, "failed")
    log = list(evidence.log)
    log[at] = log[at].with_data(attempt=7).with_header("ce-attempt", "7")
    assert (await _found(evidence, log, at))[:2] == (at + 1, "transition")


async def test_a_task_that_is_created_twice(evidence: Evidence) -> None:
    created = evidence.log[_index(evidence, "created")]
    seq, kind, sentence = await _found(evidence, [*evidence.log, _again(created)], evidence.last)
    assert (seq, kind) == (evidence.last + 1, "transition")
    assert "is created twice" in sentence


async def test_a_version_that_does_not_follow(evidence: Evidence) -> None:
    at = _index(evidence, "queued")
    log = list(evidence.log)
    log[at] = log[at].with_header("ce-entityversion", "9")
    assert (await _found(evidence, log, at))[:2] == (at + 1, "chain")


async def test_data_that_does_not_fit_its_type(evidence: Evidence) -> None:
    at = _index(evidence, "queued")
    log = list(evidence.log)
    data = {name: value for name, value in json.loads(log[at].data).items() if name != "runner_id"}
    log[at] = replace(log[at], data=json.dumps(data).encode())
    assert (await _found(evidence, log, at))[:2] == (at + 1, "form")


async def test_what_is_wrong_everywhere_ends_soon(evidence: Evidence) -> None:
    log = [one.with_header("ce-subject", "other") for one in evidence.log]
    await evidence.write(log, [])
    report = await evidence.verified()
    assert len(report.findings) == 10
    assert report.first is not None
    assert report.first.seq == 1
    assert "so much is wrong" in report.notes[-1]
