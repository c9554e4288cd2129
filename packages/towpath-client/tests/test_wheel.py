"""The wheel, installed beside a project that has packages `domain` and `adapters` of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.towpath import Up
from tests.support.wheels import environment_of, run, top_level, wheel_of, write_project

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


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with this wheel; no test changes it."""
    directory = tmp_path_factory.mktemp("wheel")
    wheel = wheel_of(PACKAGE, directory / "dist")
    assert top_level(wheel) == {"towpath_client"}
    return environment_of(wheel, directory)


def test_a_project_beside_it_keeps_its_own_domain_and_adapters(
    environment: Path, up: Up, tmp_path: Path
) -> None:
    shop = write_project(tmp_path / "shop", SHOP)
    said = json.loads(run(environment, "shop.py", cwd=shop, TOWPATH_URL=up.url))
    assert (said["output"], said["packages"]) == ("a boat\n", ["adapters", "domain"])
    assert Path(said["file"]).is_relative_to(environment.parents[1])


def test_it_is_typed_and_needs_httpx_and_pydantic_alone(environment: Path, tmp_path: Path) -> None:
    told = run(environment, "-c", METADATA, cwd=tmp_path).splitlines()
    assert [line.split("<")[0].split(">")[0] for line in told[:-2]] == ["httpx", "pydantic"]
    assert all("<" in line for line in told[:-2]), "a dependency has no upper bound"
    assert told[-2:] == [">=3.10", "True"]
