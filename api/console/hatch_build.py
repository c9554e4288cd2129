"""The wheel's build hook: the console is built before it is packed.

Editable installs go without: `make console` builds it for a checkout. Where the machine has no Node, the
build environment gets the one of PyPI. `TOWPATH_BUILD_WITHOUT_CONSOLE=1` leaves the console out, for wheels
that are only looked at.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConsoleHook(BuildHookInterface[BuilderConfig]):
    """Builds `api/console/dist`, which the wheel's `artifacts` take in."""

    def dependencies(self) -> list[str]:
        """Node, where the machine has none."""
        return [] if _left_out() or _build().has_node() else [_build().NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build it, except for an editable install."""
        if version != "editable" and not _left_out():
            _build().build()


def _left_out() -> bool:
    return os.environ.get("TOWPATH_BUILD_WITHOUT_CONSOLE") == "1"


def _build() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "towpath_console_build", Path(__file__).with_name("build.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
