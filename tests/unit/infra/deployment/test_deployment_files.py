"""The deployment files name settings, parts and passwords that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from domain.subjects import Stream
from infra.config.settings import Settings, env_name, load_settings
from infra.deployment import DEPLOYMENT
from infra.deployment.prepare import main as prepare
from infra.deployment.prepare import secret_variables
from infra.nats.accounts import LOG_CONSUMERS, PASSWORD_VARIABLES
from infra.nats.consumers import CONSUMERS

COMPOSE = sorted(DEPLOYMENT.glob("compose*.yaml"))
SETTINGS = {env_name(field) for field in Settings.model_fields}
PARTS = {"api", "projector", "runner", "notifier"}


def services(path: Path) -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(path.read_text())["services"])


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_the_parts_and_their_settings_exist(path: Path) -> None:
    ours = {name: one for name, one in services(path).items() if one["image"] == "towpath"}
    assert {one["command"][0] for one in ours.values()} == PARTS
    for one in ours.values():
        assert one["environment"].keys() <= SETTINGS


def test_every_durable_consumer_on_the_log_is_kept_from_those_who_only_read_it() -> None:
    assert set(LOG_CONSUMERS) == {one.name for one in CONSUMERS if one.stream == Stream.LOG}


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_prepare_makes_every_secret_that_is_asked_for(path: Path) -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", path.read_text()))
    assert asked <= secret_variables().keys()


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_only_the_control_plane_knows_its_password(path: Path) -> None:
    for one in services(path).values():
        if one["image"] == "towpath" and one["command"] == ["runner"]:
            text = str(one["environment"])
            assert (one["environment"]["TOWPATH_NATS_USER"], "SECRET_KEY" in text, "CONTROL" in text) == (
                "runner",
                False,
                False,
            )


def test_what_prepare_makes_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in secret_variables().items():
        if name in SETTINGS:
            monkeypatch.setenv(name, value)
    settings = load_settings(host="0.0.0.0")
    settings.check_api()
    assert settings.checkpoint_keys(make=False)


@pytest.mark.parametrize("name", ["control.env.example", "runner.env.example"])
def test_the_examples_for_systemd_name_settings(name: str) -> None:
    lines = (DEPLOYMENT / "systemd" / name).read_text().splitlines()
    assert {line.partition("=")[0] for line in lines if not line.startswith("#")} <= SETTINGS


def test_every_user_of_the_accounts_has_a_password() -> None:
    text = (DEPLOYMENT / "nats" / "accounts.conf").read_text()
    assert set(re.findall(r"user: (\w+)", text)) == PASSWORD_VARIABLES.keys()
    assert set(re.findall(r"password: \$(\w+)", text)) == set(PASSWORD_VARIABLES.values())


def test_prepare_keeps_secrets_and_authority(tmp_path: Path) -> None:
    assert prepare(["--directory", str(tmp_path), "--node", "n1"]) == 0
    before = [(tmp_path / name).read_bytes() for name in (".env", "certs/ca.pem")]
    first = (tmp_path / "certs/n1.pem").read_bytes()
    assert prepare(["--directory", str(tmp_path), "--node", "n1", "--also", "10.0.0.1"]) == 0
    assert [(tmp_path / name).read_bytes() for name in (".env", "certs/ca.pem")] == before
    assert (tmp_path / "certs/n1.pem").read_bytes() != first
    authority = x509.load_pem_x509_certificate(before[1])
    made = x509.load_pem_x509_certificate((tmp_path / "certs/n1.pem").read_bytes())
    made.verify_directly_issued_by(authority)
    for name in (".env", "certs/ca-key.pem", "certs/n1-key.pem"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
