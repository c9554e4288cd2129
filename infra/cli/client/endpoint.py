"""Finds the API's URL and token in few variables: loading all settings takes longer than most commands.

It decides only plain cases, where the settings would find the same without an error.
"""

from __future__ import annotations

import os
from pathlib import Path

from domain.validation.token_rules import token_problem
from infra.cli.client.light_http import is_plain
from infra.lock.endings import Ending
from infra.lock.endpoint import where

_OURS = {"TOWPATH_URL", "TOWPATH_TOKEN", "TOWPATH_DATA_DIR"}
_OF_SETTINGS = ("TOWPATH_", "API_", "HOST_RUNNER_URL", "OTEL_")


def endpoint(url: str | None, data_dir: Path | None) -> tuple[str, str | None] | None:
    """URL and token of the API, or None where the settings have to decide, or to say what is wrong."""
    given = [name for name in os.environ if name.upper().startswith(_OF_SETTINGS)]
    directory = os.environ.get("TOWPATH_DATA_DIR", "") if data_dir is None else str(data_dir)
    if not _OURS.issuperset(given) or directory.startswith("~") or not directory.isascii():
        return None
    if any(not os.environ[name].strip() for name in given):
        return None
    try:
        found, token = where(url, None if data_dir is None else str(data_dir))
    except (Ending, OSError):
        return None
    if not is_plain(found) or (token is not None and token_problem(token)):
        return None
    return found.rstrip("/"), token
