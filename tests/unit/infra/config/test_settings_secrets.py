"""Secrets among the settings: never empty, never weak where others connect, never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.config.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    "variable",
    [
        "TOWPATH_API_TOKENS",
        "API_RUNNER_CALLBACK_TOKEN",
        "API_RUNNER_CALLBACK_TOKEN_PREVIOUS",
        "TOWPATH_RUNNER_TOKEN",
        "towpath_runner_token",
        "TOWPATH_SECRET_KEY",
        "TOWPATH_CHECKPOINT_KEY",
        "TOWPATH_NATS_PASSWORD",
    ],
)
@pytest.mark.parametrize("value", ["", " ", "\t", "\n", " \u00a0 "])
def test_an_empty_secret_is_an_error_and_not_open(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"{variable.upper()}: it is empty.*openssl.*unset"):
        load_settings()


@pytest.mark.parametrize("value", [",", " , ", "admin:", "admin: ", ":x", "admin:,viewer:abc", "admin:a b"])
def test_tokens_of_nothing_are_an_error(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TOWPATH_API_TOKENS", value)
    with pytest.raises(SettingsError, match="TOWPATH_API_TOKENS"):
        load_settings()


@pytest.mark.parametrize("value", ["hunter 22", "hunter22\n", "h\u00fcnter22", "hunter22\x01"])
@pytest.mark.parametrize("variable", ["TOWPATH_RUNNER_TOKEN", "API_RUNNER_CALLBACK_TOKEN"])
def test_a_token_is_something_that_a_header_can_carry(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"{variable}: a token consists of visible ASCII") as said:
        load_settings()
    assert "nter" not in str(said.value)


def _tokens_file(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_tokens_of_the_api_may_stand_in_a_file(tmp_path: Path) -> None:
    file = _tokens_file(tmp_path / "tokens", "# people\noperator=alice:hunter22hunter22\n")
    settings = load_settings(api_tokens_file=file, api_tokens="admin:0123456789abcdef", host="0.0.0.0")
    settings.check_api()
    assert [one.name for one in settings.operator_tokens()] == ["alice", None]
    assert not load_settings(api_tokens_file=file).has_guest
    file.chmod(0o400)
    assert load_settings(api_tokens_file=file).operator_tokens()


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("admin:hunter22hunter22", 0o640, r"others may use .*tokens \(mode 0640\): run `chmod 600`"),
        ("admin:hunter22hunter22", 0o604, "chmod 600"),
        ("# nothing yet\n", 0o600, "no token stands in it"),
        (
            "viewer:hunter22hunter22\nking:hunter22hunter22",
            0o600,
            "line 2 in TOWPATH_API_TOKENS_FILE has an unkn",
        ),
        ("viewer:hunter22\n", 0o600, "line 1 in TOWPATH_API_TOKENS_FILE has fewer than 16"),
        ("admin:\udcff", 0o600, "not UTF-8"),
    ],
)
def test_a_file_of_tokens_that_cannot_be_used_is_an_error(
    tmp_path: Path, text: str, mode: int, says: str
) -> None:
    file = tmp_path / "tokens"
    file.write_bytes(text.encode(errors="surrogateescape"))
    file.chmod(mode)
    with pytest.raises(SettingsError, match=says) as said:
        load_settings(api_tokens_file=file, host="0.0.0.0").check_api()
    assert "TOWPATH_API_TOKENS_FILE" in str(said.value)
    assert "hunter22" not in str(said.value)


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_of_tokens_must_be_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="TOWPATH_API_TOKENS_FILE: "):
        load_settings(api_tokens_file=tmp_path / name).check_api()


def test_beyond_loopback_a_short_callback_token_is_refused() -> None:
    given = {"api_tokens": "admin:0123456789abcdef", "api_runner_callback_token": "hunter22"}
    load_settings(**given).check_api()
    with pytest.raises(SettingsError, match=r"API_RUNNER_CALLBACK_TOKEN has fewer than 16.*openssl") as said:
        load_settings(**given, host="0.0.0.0").check_api()
    assert "hunter22" not in str(said.value)


def test_secrets_do_not_show() -> None:
    secret = "hunter22hunter22"
    settings = load_settings(
        api_tokens=f"admin:{secret}",
        api_runner_callback_token=secret,
        secret_key=secret,
        runner_token=secret,
        token=secret,
        nats_url=f"nats://u:{secret}@n1",
        nats_user="u",
        nats_password=secret,
        database_url=f"postgresql://u:{secret}@db/x",
    )
    assert secret not in repr(settings)
    assert secret not in str(settings)


@pytest.mark.parametrize(
    ("host", "open_to_others"), [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True)]
)
def test_beyond_loopback_the_api_needs_tokens(host: str, open_to_others: bool) -> None:
    load_settings(host=host, api_tokens="admin:0123456789abcdef").check_api()
    if open_to_others:
        with pytest.raises(SettingsError, match="TOWPATH_API_TOKENS"):
            load_settings(host=host).check_api()
    else:
        load_settings(host=host).check_api()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOWPATH_NATS_URL", "nats://u:hunter22@127.0.0.1:99999"),
        ("TOWPATH_NATS_URL", "http://u:hunter22@["),
        ("TOWPATH_NATS_URL", "nats://127.0.0.1:4222,gopher://hunter22"),
        ("TOWPATH_DATABASE_URL", "postgresql://u:hunter22@[::/x"),
        ("TOWPATH_DATABASE_URL", "hunter22"),
        ("TOWPATH_DATABASE_URL", "mysql://u:hunter22@h/x"),
        ("TOWPATH_URL", "http://u:hunter22@127.0.0.1:99999"),
        ("TOWPATH_TOKEN", "hunter22\n"),
        ("TOWPATH_RUNNER_TOKEN", "hunter22é"),
        ("API_RUNNER_CALLBACK_TOKEN", "hunter22 and more"),
        ("TOWPATH_DATA_DIR", "~no-such-user/hunter22"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert name in str(refused.value)
    assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize(
    ("tokens", "guest", "has"),
    [(None, None, True), ("admin:0123456789abcdef", None, False), (None, False, False),
     ("admin:0123456789abcdef", True, True)],
)  # fmt: skip
def test_nats_has_a_guest_where_the_api_asks_for_no_token_or_one_was_asked_for(
    tokens: str | None, guest: bool | None, has: bool
) -> None:
    assert load_settings(api_tokens=tokens, nats_guest=guest).has_guest is has
