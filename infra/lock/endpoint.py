"""Finds the API's URL and token as every command does, but without reading all settings."""

from __future__ import annotations

import os

from infra.config import installation_file
from infra.errors.exit_codes import Exit
from infra.lock.endings import Ending

DEFAULT_URL = "http://127.0.0.1:8000"


def where(url: str | None, data_dir: str | None) -> tuple[str, str | None]:
    """URL and token, of options, environment, or the `towpath up` on the data directory. Raises Ending."""
    token = os.environ.get("TOWPATH_TOKEN") or None
    option_wins = data_dir is not None and url is None
    given = url or (None if option_wins else os.environ.get("TOWPATH_URL") or None)
    if given is not None:
        return given, token
    named = data_dir or os.environ.get("TOWPATH_DATA_DIR") or None
    directory = os.path.abspath(named) if named is not None else installation_file.nearest(os.getcwd())
    if directory is None:
        return DEFAULT_URL, token
    told = installation_file.read(directory)
    if told is None:
        raise Ending(
            Exit.ERROR, f"no `towpath up` runs on {directory}: start it, or say where its API is (--url)"
        )
    return str(told["url"]), told.get("token") if option_wins or token is None else token
