"""A submission says where to call back; the runner's configuration says where that may be."""

from __future__ import annotations

import pytest

from runner.errors import Refused
from runner.transports import check_callback_url, problem_kind


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://api/x", ["api"]),
        ("https://API:8443/x", ["api"]),
        ("http://api:8000/x", ["api:8000"]),
        ("https://api/x", ["api:443"]),
        ("http://[::1]:8000/x", ["::1"]),
    ],
)
def test_allowed(url: str, allowed: list[str]) -> None:
    check_callback_url(url, allowed)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://169.254.169.254/latest", ["api"]),
        ("http://api:8001/x", ["api:8000"]),
        ("http://api@evil/x", ["api"]),
        ("http://evil@api/x", ["api"]),
        ("http://api.evil/x", ["api"]),
        ("file:///etc/passwd", ["api", ""]),
        ("ftp://api/x", ["api"]),
        ("//api/x", ["api"]),
        ("not a url", ["api"]),
        ("http://api/x", []),
        ("http://", [""]),
    ],
)
def test_refused(url: str, allowed: list[str]) -> None:
    with pytest.raises(Refused):
        check_callback_url(url, allowed)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"type": "https://x.example/problems/stale-attempt"}', "stale-attempt"),
        (b'{"type": "urn:towpath:problem:ended"}', "ended"),
        (b'{"type": "about:blank"}', "blank"),
        (b"[]", ""),
        (b"<html>", ""),
    ],
)
def test_problem_kind(body: bytes, kind: str) -> None:
    assert problem_kind(body) == kind
