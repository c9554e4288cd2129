"""A header's name means the same in any case."""

from __future__ import annotations

import pytest

from domain.validation.headers import header


@pytest.mark.parametrize("name", ["x-runner-token", "X-RUNNER-TOKEN", "X-Runner-Token", "x-Runner-tokEN"])
def test_a_name_is_found_in_any_case(name: str) -> None:
    assert header({"other": "o", name: "t"}, "X-Runner-Token") == "t"


def test_the_exact_spelling_goes_first() -> None:
    assert header({"x-runner-token": "a", "X-Runner-Token": "b"}, "X-Runner-Token") == "b"


def test_without_it_there_is_none() -> None:
    assert header(None, "a") is header({}, "a") is header({"b": ""}, "a") is None
