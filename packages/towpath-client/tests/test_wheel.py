"""The wheel, installed beside a project that has packages `domain` and `adapters` of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.support.towpath import Up

PACKAGE = Path(__file__).parents[1]
SHOP = {
    "domain/__init__.py": "ORDER = ['sh', '-c', 'echo a boat']\n",
    "adapters/__init__.py": "",
    "adapters/build.py": """
import sys

from towpath_client import Client


def build(command):
    with Client() as towpath:
        done = towpath.run(command).check()
    ours = {"domain", "adapters", "projections", "api", "runner", "infra"}
    return done.output, sorted(ours & {name.split(".")[0] for name in sys.modules})
""",
    "shop.py": """
import json

import towpath_client
from adapters.build import build
from domain import ORDER

output, packages = build(ORDER)
print(json.dumps({"output": output, "packages": packages, "file": towpath_client.__file__}))
""",
}
METADATA = """
import importlib.metadata as m, importlib.resources as r
print(*m.requires("towpath-client"), m.metadata("towpath-client")["Requires-Python"], sep="\\n")
print((r.files("towpath_client") / "py.typed").is_file())
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The interpreter of a fresh environment with this wheel and, by path alone, what it depends on."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist", cwd=PACKAGE)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        assert {name.split("/")[0] for name in files.namelist() if ".dist-info/" not in name} == {
            "towpath_client"
        }
    home = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=tmp_path)
    python = home / "bin" / "python"
    installed = ["-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel]
    run(sys.executable, *installed, cwd=tmp_path, PIP_DISABLE_PIP_VERSION_CHECK="1")
    (site,) = home.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_a_project_beside_it_keeps_its_own_domain_and_adapters(
    environment: Path, up: Up, tmp_path: Path
) -> None:
    for name, text in SHOP.items():
        file = tmp_path / "shop" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    said = json.loads(run(environment, "shop.py", cwd=tmp_path / "shop", TOWPATH_URL=up.url))
    assert (said["output"], said["packages"]) == ("a boat\n", ["adapters", "domain"])
    assert Path(said["file"]).is_relative_to(tmp_path / "venv")


def test_it_is_typed_and_needs_httpx_and_pydantic_alone(environment: Path, tmp_path: Path) -> None:
    told = run(environment, "-c", METADATA, cwd=tmp_path).splitlines()
    assert [line.split("<")[0].split(">")[0] for line in told[:-2]] == ["httpx", "pydantic"]
    assert all("<" in line for line in told[:-2]), "a dependency has no upper bound"
    assert told[-2:] == [">=3.10", "True"]
