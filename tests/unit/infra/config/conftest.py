"""The settings' tests start without settings in the environment."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("TOWPATH_", "API_", "HOST_RUNNER_")):
            monkeypatch.delenv(name)
