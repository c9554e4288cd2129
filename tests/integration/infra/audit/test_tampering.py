"""Every way to tamper with a copy of the log is found, with the first sequence that is not what it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nats.aio.client import Client

from domain.errors import Busy
from domain.evidence.checkpoint import LogCheckpoint
from infra.audit.export_reader import NotAnExport
from tests.integration.infra.audit.evidence import KEY, OTHER_KEY, Evidence, Message, rechained, resealed
from tests.support.nats import api


async def test_a_genuine_copy_is_whole(evidence: Evidence) -> None:
    await evidence.write(evidence.log)
    report = await evidence.verified(exported=True)
    assert report.findings == []
    assert report.events == report.covered_upto == evidence.last
    assert report.checkpoints == len(evidence.checkpoints)


async def test_a_changed_payload_is_found_where_it_is(evidence: Evidence) -> None:
    seq = evidence.seq_of("succeeded")
    log = list(evidence.log)
    log[seq - 1] = log[seq - 1].with_data(exit_code=1)
    await evidence.write(log)
    assert await evidence.first_bad() == (seq, "chain")


async def test_a_changed_payload_with_its_own_chain_is_found_without_any_checkpoint(
    evidence: Evidence,
) -> None:
    seq, later = evidence.seq_of("running"), evidence.seq_of("failed")
    forged = rechained([*evidence.log[: seq - 1], evidence.log[seq - 1].with_data(pid=1)], seq - 1)
    await evidence.write([*forged, *evidence.log[seq:]], [])
    found = (await evidence.verified()).first
    assert found is not None
    assert found.seq == later, "the successor tells, as no checkpoint covers the event itself"
    assert f"at {seq}" in found.sentence


async def test_a_changed_header_of_the_event_is_found(evidence: Evidence) -> None:
    seq = evidence.seq_of("canceled")
    log = list(evidence.log)
    log[seq - 1] = log[seq - 1].with_header("ce-actor", "operator:eve")
    await evidence.write(log, [])
    assert await evidence.first_bad() == (seq, "chain")


async def test_a_changed_header_that_no_chain_covers_is_found_by_the_checkpoint(evidence: Evidence) -> None:
    seq = evidence.seq_of("queued")
    log = list(evidence.log)
    log[seq - 1] = log[seq - 1].with_header(
        "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    )
    await evidence.write(log)
    assert await evidence.first_bad() == (seq, "checkpoint")


async def test_a_deleted_event_is_found_by_its_hole(evidence: Evidence) -> None:
    seq = evidence.seq_of("released")

    async def delete(nc: Client) -> None:
        assert (await api(nc, "STREAM.MSG.DELETE.TOWPATH", {"seq": seq}))["success"]

    await evidence.write(evidence.log, then=delete)
    report = await evidence.verified(exported=True)
    assert report.first is not None
    assert (report.first.seq, report.first.kind) == (seq, "sequence")
    assert report.first.sentence == f"sequence {seq} is missing from the log"


async def test_a_deleted_last_event_is_found_by_its_hole(evidence: Evidence) -> None:
    async def delete(nc: Client) -> None:
        assert (await api(nc, "STREAM.MSG.DELETE.TOWPATH", {"seq": evidence.last}))["success"]

    await evidence.write(evidence.log, [], then=delete)
    assert await evidence.first_bad() == (evidence.last, "sequence")


async def test_an_event_dropped_from_a_rewritten_stream_is_found(evidence: Evidence) -> None:
    seq = evidence.seq_of("released")
    await evidence.write([*evidence.log[: seq - 1], *evidence.log[seq:]])
    assert (await evidence.first_bad())[0] == seq


async def test_reordered_events_are_found(evidence: Evidence) -> None:
    seq = evidence.seq_of("dispatched", 2)
    log = list(evidence.log)
    assert log[seq - 1].subject.split(".")[2] != log[seq].subject.split(".")[2], "of different chains"
    log[seq - 1], log[seq] = log[seq], log[seq - 1]
    await evidence.write(log)
    assert (await evidence.first_bad())[0] == seq


async def test_a_truncated_tail_is_found_by_the_checkpoints(evidence: Evidence) -> None:
    await evidence.write(evidence.log[:-3])
    assert await evidence.first_bad() == (evidence.last - 2, "checkpoint")


async def test_a_tail_truncated_together_with_its_checkpoints_is_found_by_the_exported_ones(
    evidence: Evidence,
) -> None:
    kept = evidence.checkpoints[:-1]
    await evidence.write(evidence.log[: kept[-1].last_seq], kept)
    assert (await evidence.verified()).findings == [], "nothing inside says that there was more"
    assert await evidence.first_bad(exported=True) == (kept[-1].last_seq + 1, "checkpoint")


async def test_what_a_stranger_appends_is_found(evidence: Evidence) -> None:
    seq = evidence.seq_of("running")
    again = evidence.log[seq - 1].with_header("Nats-Msg-Id", "another").with_header("ce-id", "another")
    await evidence.write([*evidence.log, again])
    assert (await evidence.first_bad())[0] == evidence.last + 1


async def test_what_a_stranger_appends_with_a_right_chain_must_also_be_allowed_there(
    evidence: Evidence,
) -> None:
    last = next(one for one in reversed(evidence.log) if one.subject.endswith(".succeeded"))
    version = str(int(last.headers["ce-entityversion"]) + 1)
    again = (
        last.with_header("ce-entityversion", version)
        .with_header("ce-id", "x")
        .with_header("Nats-Msg-Id", "x")
    )
    await evidence.write(rechained([*evidence.log, again], evidence.last))
    assert await evidence.first_bad() == (evidence.last + 1, "transition")


async def test_a_message_that_is_no_event_is_found(evidence: Evidence) -> None:
    await evidence.write([*evidence.log, Message("towpath.task.x.running", {}, b"{}")])
    assert await evidence.first_bad() == (evidence.last + 1, "form")


async def test_a_rewritten_chain_is_found_by_the_checkpoints_alone(evidence: Evidence) -> None:
    seq, log = _rewritten(evidence)
    await evidence.write(log)
    assert await evidence.first_bad() == (seq, "checkpoint")


async def test_one_exported_line_alone_vouches_for_all_before_it(evidence: Evidence) -> None:
    evidence.exported.write_bytes(evidence.checkpoints[-1].encoded() + b"\n")
    await evidence.write(evidence.log, [])
    report = await evidence.verified(exported=True)
    assert (report.findings, report.checkpoints, report.covered_upto) == ([], 1, evidence.last)


async def test_one_exported_line_alone_shows_a_rewritten_chain(evidence: Evidence) -> None:
    _, log = _rewritten(evidence)
    evidence.exported.write_bytes(evidence.checkpoints[-1].encoded() + b"\n")
    await evidence.write(log, [])
    found = (await evidence.verified(exported=True, keys=())).first
    assert found is not None
    assert f"exported checkpoint {evidence.checkpoints[-1].number}" in found.sentence


@pytest.mark.parametrize("text", ["", "words\n", "[]\n", '{"format": "other"}\n', '{"number": 1}\n'])
async def test_a_file_of_something_else_is_refused_by_its_name(evidence: Evidence, text: str) -> None:
    evidence.exported.write_text(text)
    await evidence.write(evidence.log)
    with pytest.raises(NotAnExport, match=r"exported\.jsonl"):
        await evidence.verified(exported=True, keys=())


async def test_a_rewritten_chain_without_any_checkpoint_is_not_found_from_inside(evidence: Evidence) -> None:
    seq, log = _rewritten(evidence)
    await evidence.write(log, [])
    assert (await evidence.verified()).findings == []
    assert await evidence.first_bad(exported=True) == (seq, "checkpoint")


async def test_checkpoints_rewritten_with_another_key_are_not_trusted(evidence: Evidence) -> None:
    seq, log = _rewritten(evidence)
    await evidence.write(log, resealed(log, evidence.checkpoints, OTHER_KEY))
    first = (await evidence.verified()).first
    assert first is not None
    assert (first.seq, first.exact) == (1, False)
    assert "not trusted" in first.sentence
    assert await evidence.first_bad(exported=True) == (seq, "checkpoint")


async def test_checkpoints_rewritten_with_the_stolen_key_are_found_by_the_exported_ones(
    evidence: Evidence,
) -> None:
    seq, log = _rewritten(evidence)
    await evidence.write(log, resealed(log, evidence.checkpoints, KEY))
    assert (await evidence.verified()).findings == [], "only an outside witness can tell"
    assert await evidence.first_bad(exported=True) == (seq, "checkpoint")


async def test_a_forged_checkpoint_in_a_genuine_log_is_found(evidence: Evidence) -> None:
    forged: list[LogCheckpoint] = list(evidence.checkpoints)
    forged[1] = replace(forged[1], time="2020-01-01T00:00:00.000000Z")
    await evidence.write(evidence.log, forged)
    report = await evidence.verified()
    assert report.first is not None
    assert report.first.seq == forged[1].first_seq
    assert "checkpoint 2 is not valid" in report.first.sentence
    assert report.covered_upto == forged[0].last_seq


async def test_a_missing_checkpoint_is_found(evidence: Evidence) -> None:
    async def delete(nc: Client) -> None:
        assert (await api(nc, "STREAM.MSG.DELETE.TOWPATH_CHECKPOINT", {"seq": 2}))["success"]

    await evidence.write(evidence.log, then=delete)
    first = (await evidence.verified()).first
    assert first is not None
    assert "checkpoint 2 is missing" in first.sentence


@pytest.mark.parametrize("first_gone", [1, 3])
async def test_missing_last_checkpoints_are_found(evidence: Evidence, first_gone: int) -> None:
    async def delete(nc: Client) -> None:
        for number in range(first_gone, len(evidence.checkpoints) + 1):
            done = await api(nc, "STREAM.MSG.DELETE.TOWPATH_CHECKPOINT", {"seq": number})
            assert done["success"]

    await evidence.write(evidence.log, then=delete)
    first = (await evidence.verified()).first
    assert first is not None
    assert first.seq == evidence.checkpoints[first_gone - 1].first_seq
    assert f"checkpoint {first_gone} is missing" in first.sentence


async def test_a_deleted_stream_of_checkpoints_is_found(evidence: Evidence) -> None:
    async def delete(nc: Client) -> None:
        assert (await api(nc, "STREAM.DELETE.TOWPATH_CHECKPOINT", {}))["success"]

    await evidence.write(evidence.log, then=delete)
    first = (await evidence.verified()).first
    assert first is not None
    assert "there is no stream TOWPATH_CHECKPOINT" in first.sentence


async def test_a_server_without_the_log_says_so(evidence: Evidence) -> None:
    await evidence.write(evidence.log, then=lambda nc: api(nc, "STREAM.DELETE.TOWPATH", {}))
    with pytest.raises(Busy, match="no stream TOWPATH:"):
        await evidence.verified()


async def test_a_replaced_key_is_trusted_beside_the_old_one(evidence: Evidence) -> None:
    half = len(evidence.checkpoints) // 2
    old = evidence.checkpoints[:half]
    new = resealed(evidence.log, evidence.checkpoints, OTHER_KEY)[half:]
    chained = [*old]
    for one in new:
        leaves_from = replace(one, previous=chained[-1].digest, signature="")
        chained.append(replace(leaves_from, signature=OTHER_KEY.sign(leaves_from.signed_text()).hex()))
    await evidence.write(evidence.log, chained)
    first = (await evidence.verified()).first
    assert first is not None
    assert first.seq == chained[half].first_seq
    report = await evidence.verified(keys=[KEY.public.hex(), f"public:{OTHER_KEY.public.hex()}"])
    assert report.findings == []


def _rewritten(evidence: Evidence) -> tuple[int, list[Message]]:
    """Somebody made a failed attempt end differently, and everything behind it fit."""
    seq = evidence.seq_of("failed")
    log = list(evidence.log)
    log[seq - 1] = log[seq - 1].with_data(message="the disk was full")
    return seq, rechained(log, seq - 1)


def _keep(evidence: Evidence, *checkpoints: LogCheckpoint, named: bool = True) -> None:
    """Let the exported file hold these alone."""
    lines = evidence.exported.read_bytes().splitlines(keepends=True)
    kept = [one.encoded() + b"\n" for one in checkpoints]
    evidence.exported.write_bytes(b"".join([*(lines[:1] if named else []), *kept]))


async def test_a_file_without_checkpoints_vouches_for_nothing(evidence: Evidence) -> None:
    await evidence.write(evidence.log)
    _keep(evidence)
    report = await evidence.verified(exported=True)
    assert (report.findings, report.ok) == ([], False)
    assert report.exported is not None
    assert "holds no checkpoint" in report.exported.sentence
    said = report.as_json()
    assert (said["ok"], said["first_bad_seq"], said["exported"]["covered_upto"]) == (False, None, 0)
    assert said["sentence"] == report.exported.sentence
    assert (await evidence.verified()).ok, "the log's own checkpoints are as they were"


@pytest.mark.parametrize(
    "text", ["", "\n\n", "[]", "null", "{}", "7", '"x"', '{"items": []}', "\x00", "not JSON"]
)
async def test_a_file_of_something_else_is_refused(evidence: Evidence, text: str) -> None:
    await evidence.write(evidence.log)
    evidence.exported.write_text(text)
    with pytest.raises(NotAnExport, match=r"exported\.jsonl"):
        await evidence.verified(exported=True)


async def test_what_a_kept_file_leaves_open_is_said(evidence: Evidence) -> None:
    await evidence.write(evidence.log)
    first, second = evidence.checkpoints[:2]
    _keep(evidence, first, second)
    report = await evidence.verified(exported=True)
    assert report.exported is not None
    assert report.ok
    assert report.covered_upto == evidence.last, "the log's own go further"
    assert report.exported.as_json() == {
        "file": str(evidence.exported),
        "checkpoints": 2,
        "first_number": 1,
        "last_number": 2,
        "covered_upto": second.last_seq,
        "uncovered": [second.last_seq + 1, evidence.last],
    }
    assert report.exported.sentence.endswith(
        f"2 checkpoints (1 to 2) vouch for events 1 to {second.last_seq}, "
        f"not for events {second.last_seq + 1} to {evidence.last}"
    )
    _keep(evidence, evidence.checkpoints[-1], named=False)
    whole = (await evidence.verified(exported=True)).exported
    assert whole is not None
    assert whole.sentence.endswith(f" vouches for events 1 to {evidence.last}, the whole log")


async def test_another_logs_checkpoints_vouch_for_nothing(evidence: Evidence) -> None:
    """Of the same key: a copy of the installation that went another way, say."""
    await evidence.write(evidence.log)
    other = [evidence.log[0].with_header("traceparent", "another"), *evidence.log[1:]]
    _keep(evidence, *resealed(other, evidence.checkpoints, KEY))
    report = await evidence.verified(exported=True)
    assert not report.ok
    assert report.exported is not None
    assert (report.exported.count, report.exported.covered_upto) == (len(evidence.checkpoints), 0)
    assert "vouch for no event" in report.exported.sentence
