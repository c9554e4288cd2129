"""Wheels of this repository, each installed into an environment of its own: as their users get them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wheel_of(project: Path, directory: Path) -> Path:
    """The wheel of `project`, built without a network."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory, cwd=project)
    (wheel,) = directory.glob("*.whl")
    return wheel


def top_level(wheel: Path) -> set[str]:
    """The names that a wheel brings into an environment."""
    with zipfile.ZipFile(wheel) as files:
        return {name.split("/")[0] for name in files.namelist() if ".dist-info/" not in name}


def environment_of(wheel: Path, directory: Path) -> Path:
    """The interpreter of a fresh environment with this wheel and, by path alone, what it depends on.

    The path file adds the modules that are installed here, but not what this repository installs in place.
    """
    home = directory / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=directory)
    python = home / "bin" / "python"
    installed = ["-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel]
    run(sys.executable, *installed, cwd=directory, PIP_DISABLE_PIP_VERSION_CHECK="1")
    (site,) = home.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def write_project(directory: Path, files: dict[str, str]) -> Path:
    """`directory` with these files, by their paths in it."""
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return directory
