"""An id that certifies itself: only who has the key can speak under it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identifiers import check_name
from domain.runners.runner_key import (
    certifies,
    host_of,
    is_key,
    is_named,
    is_shown_id,
    runner_id_of,
    shown_id,
    takes_itself,
)

KEY = "key." + "ab" * 32


@given(st.text(max_size=300))
def test_every_host_makes_a_valid_id(host: str) -> None:
    made = runner_id_of(host, KEY)
    check_name(made, "runner id")
    assert takes_itself(made)
    assert re.fullmatch(r"[A-Za-z0-9-]{1,26}", host_of(made))


def test_only_its_own_key_certifies_an_id() -> None:
    made = runner_id_of("build-7", KEY)
    assert certifies(KEY, made)
    assert not certifies("key." + "cd" * 32, made)
    assert not certifies("key.", made)
    assert not certifies(KEY, "build-7")
    assert not certifies(KEY, "")
    assert not certifies(KEY.removeprefix("key."), made)
    assert host_of(made) == "build-7"


def test_its_id_is_shown_shortened_and_others_whole() -> None:
    made = runner_id_of("build-7", KEY)
    short = shown_id(made)
    assert re.fullmatch("build-7-lock-[0-9a-f]{8}", short)
    assert made.startswith(short)
    assert is_shown_id(short)
    assert not is_shown_id(made)
    for name in ("default", "build-7", "x-lock-" + "z" * 32, short):
        assert shown_id(name) == name
    for name in ("-lock-0123abcd", "x-lock-0123abc", "x-lock-0123ABCD", "0123abcd"):
        assert not is_shown_id(name)
    assert is_named(made, short)
    assert is_named(made, made)
    assert not any(is_named(made, name) for name in ("build-7", made[:-1], shown_id(made)[:-1] + "g"))


@pytest.mark.parametrize(
    "name", ["default", "x-lock-", "-lock-" + "a" * 31, "x-lock-" + "a" * 31 + "_", "a" * 32]
)
def test_other_names_are_ordinary(name: str) -> None:
    assert not takes_itself(name)
    assert host_of(name) == name


def test_an_attempts_token_is_no_key() -> None:
    assert not is_key("1.37.abcdef")
