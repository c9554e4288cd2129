"""Settings of the API: tokens as people write them, and where an open API may listen."""

from __future__ import annotations

import re

import pytest

from api.config import ApiConfig, ApiConfigError, Role, check_listen, digest_of
from api.operator_tokens import parse_operator_tokens

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
    with pytest.raises(ApiConfigError, match=r"^token 1 in TOWPATH_API_TOKENS: .*ASCII") as said:
        parse_operator_tokens(f"admin:{token}")
    assert token not in str(said.value)


def test_an_entry_may_have_a_name_and_the_right_to_act_on_behalf_of_others() -> None:
    text = "operator=alice:a=b+c:d,operator+behalf:e, admin = bot@ops-1.x +behalf : f,viewer:a"
    found = [(one.role.label, one.name, one.behalf) for one in parse_operator_tokens(text)]
    assert found == [
        ("operator", "alice", False),
        ("operator", None, True),
        ("admin", "bot@ops-1.x", True),
        ("viewer", None, False),
    ]
    assert parse_operator_tokens(text)[0].digest == digest_of("a=b+c:d"), "a token may hold these"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("viewer:abc,operator=:xyz", "token 2 .*1 to 64 of the characters"),
        ("operator=a/b:xyz", "1 to 64 of the characters"),
        ("operator=alice\u00e9:xyz", "1 to 64 of the characters"),
        (f"operator={'a' * 65}:xyz", "1 to 64 of the characters"),
        ("operator=1a2b3c4d:xyz", "fingerprint"),
        ("operator=alice+admin:xyz", "token 1 .*than `\\+behalf`"),
        ("operator+behalf=alice:xyz", "than `\\+behalf`"),
        ("viewer:abc,admin:xyz,operator:xyz", "token 3 in .* has the token of token 2 in "),
        ("viewer:xyz,viewer:xyz", "token 2 in .* has the token of token 1 in "),
        ("viewer=alice:abc,admin=alice:xyz", "token 2 in .* has the name of token 1 in "),
    ],
)
def test_an_entry_that_cannot_be_meant_is_named_by_its_position(text: str, says: str) -> None:
    with pytest.raises(ApiConfigError, match=says) as said:
        parse_operator_tokens(text)
    assert not {"xyz", "abc"} & set(re.findall(r"\w+", str(said.value)))


def test_a_file_holds_one_entry_on_each_line_beside_those_of_the_variable() -> None:
    lines = "# who may call\n\n  operator=alice:abc \n#viewer:gone\nviewer:d#e\n"
    tokens = parse_operator_tokens("admin:xyz", lines)
    assert [(one.role.label, one.place) for one in tokens] == [
        ("operator", "line 3 in TOWPATH_API_TOKENS_FILE"),
        ("viewer", "line 5 in TOWPATH_API_TOKENS_FILE"),
        ("admin", "token 1 in TOWPATH_API_TOKENS"),
    ]
    with pytest.raises(ApiConfigError, match=r"token 1 in .*KENS has the token of line 3 in TOWPATH_.*FILE"):
        parse_operator_tokens("admin:abc", lines)
    with pytest.raises(ApiConfigError, match=r"line 1 .*comma"):
        parse_operator_tokens(lines="admin:a,viewer:b")


def test_an_empty_callback_token_is_a_mistake() -> None:
    with pytest.raises(ApiConfigError, match="leave it unset"):
        ApiConfig(callback_token="")
