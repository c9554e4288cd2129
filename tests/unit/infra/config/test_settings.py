"""Settings: documented, cross-checked, and silent about their secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from infra.config.settings import Settings, SettingsError, env_name, load_settings
from infra.documents.settings_table import settings_table
from infra.nats.connection import identity, server_urls, shown_urls

FIXED = {
    "API_RUNNER_CALLBACK_TOKEN",
    "API_RUNNER_CALLBACK_BASE_URL",
    "API_PUBLIC_BASE_URL",
    "HOST_RUNNER_URL",
    "TOWPATH_API_TOKENS",
    "TOWPATH_SECRET_KEY",
    "TOWPATH_RUNNER_TOKEN",
    "TOWPATH_LEASE_SECONDS",
    "TOWPATH_NATS_URL",
}


def test_every_setting_is_described_and_in_the_table() -> None:
    table = settings_table()
    for name, info in Settings.model_fields.items():
        assert info.description, f"{name} has no description"
        assert f"| `{env_name(name)}` | " in table
        assert info.description in table
    assert table.count("\n") == len(Settings.model_fields) + 2


def test_names_that_others_rely_on() -> None:
    assert {env_name(name) for name in Settings.model_fields} >= FIXED


def test_a_field_is_named_like_its_variable() -> None:
    for name in Settings.model_fields:
        assert env_name(name).removeprefix("TOWPATH_").lower() == name


def test_defaults() -> None:
    settings = load_settings()
    assert settings.data_dir == Path.cwd() / ".towpath"
    assert (settings.host, settings.port, settings.nats_port) == ("127.0.0.1", 8000, 4222)
    assert (settings.lease_seconds, settings.submit_deadline_seconds) == (15.0, 30.0)
    assert (settings.pools, settings.roots, settings.nats_url) == (("default",), (), None)
    assert settings.runner_state == settings.data_dir / "runner"
    assert settings.callback_base == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("TOWPATH_ROOTS", "/a:/b c", "roots", (Path("/a"), Path("/b c"))),
        ("TOWPATH_POOLS", "gpu, default", "pools", ("gpu", "default")),
        ("TOWPATH_NATS_SYNC_INTERVAL", "2m", "nats_sync_interval", "2m"),
        ("TOWPATH_LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("API_PUBLIC_BASE_URL", "https://t.example/x/", "api_public_base_url", "https://t.example/x"),
        ("TOWPATH_NATS_URL", "", "nats_url", None),
        ("TOWPATH_LEASE_SECONDS", "2.5", "lease_seconds", 2.5),
        ("TOWPATH_LOG_MAX_BYTES", "20GiB", "log_max_bytes", 20 << 30),
        ("TOWPATH_LOG_MAX_BYTES", "200 MB", "log_max_bytes", 200_000_000),
        ("TOWPATH_LOG_RESERVE_BYTES", "1048576", "log_reserve_bytes", 1 << 20),
    ],
)
def test_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, value: Any
) -> None:
    monkeypatch.setenv(variable, text)
    assert getattr(load_settings(), field) == value


@pytest.mark.parametrize(("lease", "grace", "lost_after"), [(15, None, 20), (60, None, 80), (3, 0.5, 3.5)])
def test_a_runner_is_lost_after_lease_and_grace(lease: float, grace: float | None, lost_after: float) -> None:
    terms = load_settings(lease_seconds=lease, lease_grace_seconds=grace).lease_terms
    assert (terms.lease.total_seconds(), terms.lost_after.total_seconds()) == (lease, lost_after)


def test_replicas_are_read_as_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWPATH_NATS_REPLICAS", "3")
    assert load_settings(nats_url="nats://n1,nats://n2").nats_replicas == 3


def test_overrides_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWPATH_PORT", "1")
    monkeypatch.setenv("API_PUBLIC_BASE_URL", "http://environment")
    settings = load_settings(port=2, api_public_base_url="http://option", host=None)
    assert (settings.port, settings.api_public_base_url) == (2, "http://option")
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"port": 65536}, "TOWPATH_PORT"),
        ({"lease_seconds": 0.5}, "TOWPATH_LEASE_SECONDS"),
        ({"log_max_bytes": "much"}, "TOWPATH_LOG_MAX_BYTES"),
        ({"log_reserve_bytes": 10}, "TOWPATH_LOG_RESERVE_BYTES"),
        ({"log_max_bytes": "100MiB"}, "at least twice TOWPATH_LOG_RESERVE_BYTES"),
        ({"lease_seconds": 15, "lease_grace_seconds": 1.4}, "TOWPATH_LEASE_GRACE_SECONDS"),
        ({"lease_grace_seconds": 0}, "TOWPATH_LEASE_GRACE_SECONDS"),
        ({"api_tokens": "boss:hunter22"}, "TOWPATH_API_TOKENS"),
        ({"api_tokens": ","}, "TOWPATH_API_TOKENS"),
        ({"api_tokens": "viewer:hunter22,admin:hunter22"}, "TOWPATH_API_TOKENS"),
        ({"secret_key": "hunter22"}, "TOWPATH_SECRET_KEY"),
        ({"pools": "a.b"}, "TOWPATH_POOLS"),
        ({"pools": ""}, "TOWPATH_POOLS"),
        ({"host_runner_url": "ftp://hunter22"}, "HOST_RUNNER_URL"),
        ({"nats_sync_interval": "often"}, "TOWPATH_NATS_SYNC_INTERVAL"),
        ({"nats_user": "u"}, "TOWPATH_NATS_PASSWORD"),
        ({"nats_user": "u", "nats_password": "hunter22"}, "TOWPATH_NATS_URL"),
        ({"nats_replicas": 3}, "TOWPATH_NATS_URL"),
        ({"nats_replicas": 2}, "TOWPATH_NATS_REPLICAS"),
        ({"log_level": "loud"}, "TOWPATH_LOG_LEVEL"),
        ({"no_such_setting": 1}, "no_such_setting"),
    ],
)
def test_what_cannot_be_used_is_named_without_its_value(given: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        load_settings(**given)
    assert "hunter22" not in str(caught.value)


def _types_in(annotation: Any) -> set[Any]:
    found = set() if isinstance(annotation, list) else {annotation}
    return found.union(*(_types_in(part) for part in get_args(annotation) if not hasattr(part, "ge")))


NUMERIC = sorted(
    name for name, info in Settings.model_fields.items() if {int, float} & _types_in(info.annotation)
)


def test_the_numeric_settings_are_known() -> None:
    assert {"lease_seconds", "lease_grace_seconds", "max_requests", "log_max_bytes", "port"} <= set(NUMERIC)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e308", "-1", "9" * 30, "9" * 5000])
@pytest.mark.parametrize("name", NUMERIC)
def test_no_number_is_without_bounds(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(env_name(name), value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert env_name(name) in str(caught.value)


@pytest.mark.parametrize("value", ["/srv/a:b", "/srv/a:/b:c", "a:/b", "http://x"])
def test_a_colon_inside_a_root_does_not_make_two_of_it(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TOWPATH_ROOTS", value)
    with pytest.raises(SettingsError, match="--root"):
        load_settings()
    assert load_settings(roots=(Path("/srv/a:b"),)).roots == (Path("/srv/a:b"),)


@pytest.mark.parametrize("value", ["61m", "2h", "99999999999h", "999999999h"])
def test_a_sync_interval_has_bounds(value: str) -> None:
    with pytest.raises(SettingsError, match="TOWPATH_NATS_SYNC_INTERVAL"):
        load_settings(nats_sync_interval=value)


def test_every_problem_has_a_line() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(port=-1, lease_seconds="long")
    assert len(str(caught.value).splitlines()) == 2


def test_frozen() -> None:
    with pytest.raises(ValidationError):
        load_settings().port = 1


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"host": "0.0.0.0", "port": 1}, "http://127.0.0.1:1"),
        ({"host": "::"}, "http://[::1]:8000"),
        ({"api_public_base_url": "http://p"}, "http://p"),
        ({"api_public_base_url": "http://p", "api_runner_callback_base_url": "http://c/"}, "http://c"),
    ],
)
def test_where_runners_call_back(given: dict[str, Any], url: str) -> None:
    assert load_settings(**given).callback_base == url


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("postgres://db/x", "postgresql+asyncpg://db/x"),
        ("postgresql://db/x", "postgresql+asyncpg://db/x"),
        ("sqlite:////tmp/x.db", "sqlite+aiosqlite:////tmp/x.db"),
        ("postgresql+psycopg://db/x", "postgresql+psycopg://db/x"),
        ("postgresql://u:p%40s%2Fs@db/x", "postgresql+asyncpg://u:p%40s%2Fs@db/x"),
        (None, "sqlite+aiosqlite:////d/read-model.db"),
    ],
)
def test_the_read_model_gets_an_async_driver(given: str | None, url: str) -> None:
    found = load_settings(data_dir="/d", database_url=given).read_model_url
    assert found.render_as_string(hide_password=False) == url


@pytest.mark.parametrize("name", ["d\u00e4t", "pct%41", "q?mode=ro", "h#", "a b", "x:memory:", "file:x?y=1"])
def test_a_data_directory_is_no_text_of_a_url(tmp_path: Path, name: str) -> None:
    url = load_settings(data_dir=tmp_path / name).read_model_url
    assert (url.database, dict(url.query)) == (str(tmp_path / name / "read-model.db"), {})


@pytest.mark.parametrize(
    "url", ["postgresql://u:hunter22@h:x/db", "postgresql://u:hunter22@h:99999999999x/d"]
)
def test_a_database_url_that_cannot_be_read(url: str) -> None:
    with pytest.raises(SettingsError, match="TOWPATH_DATABASE_URL") as said:
        load_settings(database_url=url)
    assert "hunter22" not in str(said.value)


@pytest.mark.parametrize(
    ("url", "servers", "who"),
    [
        ("nats://a:1,b:2", ["nats://a:1", "b:2"], {}),
        (
            "nats://u:p%40s%2F%23@a:1,b:2",
            ["nats://a:1", "b:2"],
            {"user": "u", "password": "p@s/#"},
        ),
        ("tls://t%3Ak@a:1", ["tls://a:1"], {"token": "t:k"}),
        ("u%C3%A4:p@a", ["a"], {"user": "u\u00e4", "password": "p"}),
        ("nats://[::1]:4222", ["nats://[::1]:4222"], {}),
    ],
)
def test_users_in_nats_urls_are_unquoted(url: str, servers: list[str], who: dict[str, str]) -> None:
    settings = load_settings(nats_url=url)
    assert (server_urls(settings), identity(settings)) == (servers, who)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://u:hunter22@a:1,nats://hunter22@b:2", "nats://a:1, nats://b:2"),
        ("hunter22@a:1", "a:1"),
        ("tls://u:p%2Fw@a:1", "tls://a:1"),
    ],
)
def test_servers_are_shown_without_what_opens_them(url: str, shown: str) -> None:
    assert shown_urls(load_settings(nats_url=url)) == shown
