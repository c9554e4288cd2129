"""Settings of the API: tokens as people write them, and where an open API may listen."""

from __future__ import annotations

import pytest

from api.config import ApiConfig, ApiConfigError, Role, check_listen, parse_operator_tokens

LONG = "0123456789abcdef"


def test_tokens_are_parsed_with_their_roles_and_kept_hashed() -> None:
    tokens = parse_operator_tokens(" viewer:abc , admin:x:y,")
    assert [one.role for one in tokens] == [Role.VIEWER, Role.ADMIN]
    assert "abc" not in repr(tokens)
    assert parse_operator_tokens("") == ()


@pytest.mark.parametrize("text", ["abc", "viewer:", ":abc", "root:abc", "viewer:a,admin:a", "viewer"])
def test_tokens_that_cannot_be_meant_say_how_to_write_them_but_not_what_they_are(text: str) -> None:
    with pytest.raises(ApiConfigError, match="token") as caught:
        parse_operator_tokens(text)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]"])
def test_an_open_api_may_listen_on_loopback(host: str) -> None:
    check_listen(host, ApiConfig())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "example.org", "localhost.example.org"])
def test_an_open_api_listens_nowhere_else(host: str) -> None:
    with pytest.raises(ApiConfigError, match="TOWPATH_API_TOKENS"):
        check_listen(host, ApiConfig())
    check_listen(host, ApiConfig(operator_tokens=parse_operator_tokens(f"admin:{LONG}")))


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "example.org"])
def test_short_tokens_are_for_loopback_only(host: str) -> None:
    config = ApiConfig(operator_tokens=parse_operator_tokens(f"viewer:{LONG},admin:short-{LONG[:9]}"))
    with pytest.raises(
        ApiConfigError, match=r"token 2 in TOWPATH_API_TOKENS has fewer than 16.*openssl"
    ) as said:
        check_listen(host, config)
    assert "short-" not in str(said.value)
    check_listen("127.0.0.1", config)


@pytest.mark.parametrize("token", ["a b", "\u00e9" * 20, "x\ny", "a\x7f", "\u200babcd"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    with pytest.raises(ApiConfigError, match=r"^token 1: .*ASCII") as said:
        parse_operator_tokens(f"admin:{token}")
    assert token not in str(said.value)


def test_an_empty_callback_token_is_a_mistake() -> None:
    with pytest.raises(ApiConfigError, match="leave it unset"):
        ApiConfig(callback_token="")
