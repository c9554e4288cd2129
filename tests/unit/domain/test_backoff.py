"""Backoff: growth, bound, and no overflow."""

from __future__ import annotations

from itertools import islice

import pytest

from domain.backoff import Backoff


def test_each_pause_is_twice_the_last_one_up_to_the_bound() -> None:
    assert list(islice(Backoff(0.25, 1.5).pauses(), 5)) == [0.25, 0.5, 1.0, 1.5, 1.5]


def test_the_factor_is_the_callers() -> None:
    assert list(Backoff(1.0, 5.0, factor=1.5).pauses(6)) == [1.0, 1.5, 2.25, 3.375, 5.0, 5.0]


def test_without_a_bound_it_grows_for_as_many_tries_as_were_asked() -> None:
    assert list(Backoff(0.25).pauses(tries=4)) == [0.25, 0.5, 1.0, 2.0]
    assert list(Backoff(0.25).pauses(tries=0)) == []


@pytest.mark.parametrize("failures", [3, 60, 2_000, 10**9])
def test_any_number_of_failures_stays_within_the_bound(failures: int) -> None:
    assert Backoff(10.0, 30.0).after(failures) == 30.0


def test_two_loops_do_not_share_their_growth() -> None:
    backoff = Backoff(1.0, 8.0)
    first = backoff.pauses()
    assert [next(first), next(first)] == [1.0, 2.0]
    assert next(backoff.pauses()) == 1.0
