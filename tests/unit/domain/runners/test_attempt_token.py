"""Attempt tokens: they prove one task, attempt and grant, under any key that is still accepted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.runners.attempt_token import AttemptTokens, JobTokens, Proof
from tests.unit.domain.samples import OTHER_ID, TASK_ID

TOKENS = AttemptTokens(b"key one")
MINTED = TOKENS.mint(TASK_ID, 2, 41)


def test_a_minted_token_proves_attempt_and_grant() -> None:
    assert TOKENS.check(TASK_ID, MINTED) == Proof(attempt=2, fencing_token=41)


def test_minting_is_deterministic_and_tells_attempts_apart() -> None:
    assert TOKENS.mint(TASK_ID, 2, 41) == MINTED
    others = {
        TOKENS.mint(TASK_ID, 1, 41), TOKENS.mint(TASK_ID, 2, 42), TOKENS.mint(OTHER_ID, 2, 41),
        TOKENS.mint(TASK_ID, 24, 1), AttemptTokens(b"key two").mint(TASK_ID, 2, 41),
    }  # fmt: skip
    assert len({token.rpartition(".")[2] for token in others | {MINTED}}) == 6


def test_a_token_proves_nothing_about_another_task() -> None:
    assert TOKENS.check(OTHER_ID, MINTED) is None


@pytest.mark.parametrize("change", [("2.41", "1.41"), ("2.41", "2.42"), ("2.41", "24.1"), ("2.41", "3.41")])
def test_attempt_and_grant_cannot_be_changed(change: tuple[str, str]) -> None:
    assert TOKENS.check(TASK_ID, MINTED.replace(*change, 1)) is None


@given(st.integers(0, len(MINTED) - 1), st.characters())
def test_no_character_can_be_changed(place: int, other: str) -> None:
    changed = MINTED[:place] + other + MINTED[place + 1 :]
    assert (TOKENS.check(TASK_ID, changed) is not None) == (changed == MINTED)


@given(st.text())
def test_rubbish_proves_nothing_and_raises_nothing(token: str) -> None:
    assert TOKENS.check(TASK_ID, token) is None


@pytest.mark.parametrize(
    "token",
    [
        *("", ".", "..", "2", "2.41", "2.41.", "-2.41.x", "1" * 5000 + ".1.x", "\ud800.1.x", "2.41.\ud800"),
        *(f"{MINTED}0", MINTED.upper(), f" {MINTED}", f"².{MINTED}"),
    ],
)
def test_malformed_tokens(token: str) -> None:
    assert TOKENS.check(TASK_ID, token) is None


def test_keys_rotate() -> None:
    rotated = AttemptTokens(b"key two", b"key one")
    assert rotated.check(TASK_ID, MINTED) == Proof(2, 41)
    assert rotated.mint(TASK_ID, 2, 41) == AttemptTokens(b"key two").mint(TASK_ID, 2, 41)
    assert AttemptTokens(b"key two").check(TASK_ID, MINTED) is None


@pytest.mark.parametrize("keys", [(), (b"",), (b"key", b"")])
def test_a_key_is_needed(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="at least one key"):
        AttemptTokens(*keys)


def test_the_key_does_not_show() -> None:
    assert "key one" not in MINTED
    assert b"key one".hex() not in MINTED


JOBS = JobTokens(b"key one")


def test_a_job_token_names_its_attempt_and_no_other_task() -> None:
    token = JOBS.mint(TASK_ID, 2)
    assert JOBS.check(TASK_ID, token) == 2
    assert JOBS.check(OTHER_ID, token) is None
    assert JOBS.check(TASK_ID, token.replace("job.2", "job.1")) is None
    assert JobTokens(b"key two", b"key one").check(TASK_ID, token) == 2
    assert JobTokens(b"key two").check(TASK_ID, token) is None


def test_the_two_kinds_of_tokens_never_stand_for_each_other() -> None:
    job, mac = JOBS.mint(TASK_ID, 2), JOBS.mint(TASK_ID, 2).rpartition(".")[2]
    for forged in (job, f"2.0.{mac}", job.removeprefix("job.")):
        assert TOKENS.check(TASK_ID, forged) is None
    for forged in (MINTED, f"job.{MINTED}", f"job.2.{MINTED.rpartition('.')[2]}"):
        assert JOBS.check(TASK_ID, forged) is None


@given(st.text())
def test_any_text_is_no_job_token(text: str) -> None:
    assert JOBS.check(TASK_ID, text) is None
