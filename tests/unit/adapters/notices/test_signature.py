"""Signatures, against the example of the Standard Webhooks specification."""

from __future__ import annotations

import pytest

from adapters.notices.signature import headers, parse_secrets

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_example_of_the_specification() -> None:
    made = headers(parse_secrets(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_key_signs() -> None:
    other = "whsec_" + "A" * 32
    both = headers(parse_secrets(f"{SECRET} {other}"), "id", 1, b"")["webhook-signature"].split(" ")
    assert both == [headers(parse_secrets(one), "id", 1, b"")["webhook-signature"] for one in (SECRET, other)]


@pytest.mark.parametrize(
    "text", ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_abc", f"{SECRET}!"]
)
def test_what_is_no_secret_is_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="secret") as caught:
        parse_secrets(text)
    assert "MfKQ" not in str(caught.value)
    assert "abc" not in str(caught.value)
