"""A range and its headers."""

from __future__ import annotations

import pytest

from domain.runners.output_range import OutputRange

FOUND = OutputRange(b"abc", 7, 10, complete=True, cut=5)


def test_headers_and_back() -> None:
    assert OutputRange.parse(FOUND.headers(), b"abc") == FOUND


@pytest.mark.parametrize(
    "wrong",
    [
        {"Towpath-Output-Offset": "-1"},
        {"Towpath-Output-Size": "x"},
        {"Towpath-Output-Size": "9"},
        {"Towpath-Output-Complete": "maybe"},
    ],
)
def test_headers_that_no_runner_says(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"Towpath-Output|figures|invalid literal|maybe"):
        OutputRange.parse({**FOUND.headers(), **wrong}, b"abc")


@pytest.mark.parametrize("missing", list(FOUND.headers()))
def test_a_header_that_is_missing_is_named(missing: str) -> None:
    headers = FOUND.headers()
    del headers[missing]
    with pytest.raises(ValueError, match=missing):
        OutputRange.parse(headers, b"abc")
