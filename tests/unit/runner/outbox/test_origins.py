"""A submission says where to call back; the runner's configuration says where that may be."""

from __future__ import annotations

import pytest

from runner.errors import SubmissionRefused
from runner.outbox.origins import check_callback_url
from runner.outbox.transports import problem_kind

ORIGINS = ["http://api:8000", "https://hub.example:443", "http://[::1]:8000", "http://127.0.0.1:8000"]


@pytest.mark.parametrize(
    "url",
    [
        "http://api:8000/x",
        "HTTP://API:8000/x?y#z",
        "http://api:08000/x",
        "https://hub.example/x",
        "https://HUB.example:443/x",
        "https://hub.example:/x",
        "http://[::1]:8000/x",
        "http://[0:0:0:0:0:0:0:1]:8000/x",
        "http://127.0.0.1:8000/a@b%40",
    ],
)
def test_allowed(url: str) -> None:
    check_callback_url(url, ORIGINS)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "http://api/x",
        "http://api:8001/x",
        "https://api:8000/x",
        "http://hub.example/x",
        "http://hub.example:443/x",
        "http://api.:8000/x",
        "http://api.evil:8000/x",
        "http://api:8000@evil/x",
        "http://api:8000@evil:8000/x",
        "http://@api:8000/x",
        "http://u:p@api:8000/x",
        "http://evil\\@api:8000/x",
        "http://api:8000\\@evil/x",
        "http://api%2e:8000/x",
        "http://ap%69:8000/x",
        "http://api:8000%2f@evil/x",
        "http://127.0.0.1:9000/x",
        "http://localhost:8000/x",
        "http://127.1:8000/x",
        "http://2130706433:8000/x",
        "http://0x7f000001:8000/x",
        "http://[::ffff:127.0.0.1]:8000/x",
        "http://[::1%25lo]:8000/x",
        "http://[::1]:9000/x",
        "http://[::1:8000/x",
        "http://ａｐｉ:8000/x",
        " http://api:8000/x",
        "http://api:8000/x y",
        "http://api:8000/\n",
        "http://api:8000\t/x",
        "http:///api:8000/x",
        "http:api:8000/x",
        "file:///etc/passwd",
        "ftp://api:8000/x",
        "//api:8000/x",
        "not a url",
        "http://",
        "",
    ],
)
def test_refused(url: str) -> None:
    with pytest.raises(SubmissionRefused):
        check_callback_url(url, ORIGINS)


def test_nothing_is_allowed_where_nothing_is_configured() -> None:
    with pytest.raises(SubmissionRefused, match="TOWPATH_URL"):
        check_callback_url("http://api:8000/x", [])


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
