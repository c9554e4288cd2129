"""Hides a server process's secrets from other processes of the same user.

They cannot read its memory. After the settings were read, secrets are removed from its environment, also from
the block that /proc/PID/environ shows, which `unsetenv` does not change. Variables that libraries read later
stay in the environment, in a copy outside that block, and are not passed to other programs.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path

from infra.config.settings import Settings, env_name
from runner.isolation.process_traits import hide_memory

READ_LATER = {"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "PGPASSWORD"}


def keep_secrets() -> None:
    """Call it after the settings were read and before anything is started or forked."""
    secret = [name for name in os.environ if _is_secret(name)]
    for name in secret:
        if _read_later(name):
            os.environ[name] = os.environ[name]  # a copy outside the block
        else:
            del os.environ[name]
    _overwrite(set(secret))
    hide_memory()


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for another program."""
    return {name: value for name, value in environment.items() if not _is_secret(name)}


def _is_secret(name: str) -> bool:
    return name.upper() in _setting_names() or _read_later(name)


def _read_later(name: str) -> bool:
    upper = name.upper()
    return upper in READ_LATER or upper.startswith("OTEL_EXPORTER_OTLP_") or upper.endswith("_PROXY")


def _setting_names() -> set[str]:
    """Variables of settings that are secret, or may hold a password, such as URLs."""
    fields = Settings.model_fields.items()
    return {env_name(name) for name, one in fields if not one.repr or "SecretStr" in repr(one.annotation)}


def _overwrite(names: set[str]) -> None:
    """Overwrite the values of these variables in the process's original environment block."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[47]), int(fields[48])
    at = start
    for entry in ctypes.string_at(start, end - start).split(b"\0"):
        name, _, value = entry.partition(b"=")
        if os.fsdecode(name) in names:
            ctypes.memset(at + len(name) + 1, 0, len(value))
        at += len(entry) + 1
