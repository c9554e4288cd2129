"""A runner that cannot work as configured says so before it starts, and how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.config import RunnerConfig
from runner.errors import RunnerConfigError


def config(**changes: Any) -> RunnerConfig:
    return RunnerConfig(**{"state_dir": Path("/state"), "intake_port": 0, **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"capacity": 0}, "capacity"),
        ({"lease_seconds": 0.5}, "lease_seconds"),
        ({"kill_grace_seconds": -1}, "kill_grace_seconds"),
        ({"pools": ()}, "pools"),
        ({"pools": ("a.b",)}, "a.b"),
        ({"runner_id": "no*stars"}, "runner id"),
        ({"roots": (Path("relative"),)}, "absolute"),
        ({"intake_port": None}, "--listen"),
        ({"intake_host": "0.0.0.0"}, "TOWPATH_RUNNER_TOKEN"),
        ({"intake_host": "0.0.0.0", "runner_token": "hidden-1"}, "fewer than 16 .*openssl"),
        ({"runner_token": ""}, "it is empty"),
        ({"runner_token": " "}, "it is empty"),
        ({"runner_token": "a b"}, "visible ASCII"),
        ({"api_token": ""}, "it is empty"),
    ],
)
def test_refuses_with_the_remedy(changes: dict[str, object], says: str) -> None:
    with pytest.raises(RunnerConfigError, match=says):
        config(**changes)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    assert config(intake_host=host).runner_token is None


def test_an_open_address_with_a_token_is_fine() -> None:
    assert config(intake_host="0.0.0.0", runner_token="hidden-0123456789").intake_host == "0.0.0.0"


def test_secrets_stay_out_of_the_repr() -> None:
    made = config(
        runner_token="hidden-1", nats_options={"password": "hidden-2"}, nats_url="nats://u:hidden-3@h:1"
    )
    assert set(made.secrets) == {"hidden-1", "hidden-2", "hidden-3"}
    assert "hidden" not in repr(made)


def test_callbacks_go_to_the_control_plane_unless_told_otherwise() -> None:
    assert config().allowed_callback_origins == ()
    told = config(api_url="http://Control.example:8000/")
    assert told.allowed_callback_origins == ("http://control.example:8000",)
    told = config(api_url="http://a", callback_urls=("https://B:1/x", "http://c"))
    assert told.allowed_callback_origins == ("https://b:1", "http://c:80")


@pytest.mark.parametrize("url", ["ftp://a", "http://u@a", "a:8000"])
def test_a_control_plane_without_an_origin_is_refused(url: str) -> None:
    with pytest.raises(RunnerConfigError, match="TOWPATH_URL"):
        config(api_url=url)
