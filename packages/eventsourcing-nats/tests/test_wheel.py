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

from infra.nats.embedded_server import EmbeddedNats
from nats_settings import Nats

PACKAGE = Path(__file__).parents[1]
REPOSITORY = PACKAGE.parents[1]
SHOP = {
    "domain/__init__.py": "",
    "domain/order.py": """
from eventsourcing.domain import Aggregate, event


class Order(Aggregate):
    @event("Placed")
    def __init__(self, item: str):
        self.item, self.paid = item, False

    @event("Paid")
    def pay(self):
        self.paid = True
""",
    "adapters/__init__.py": "",
    "adapters/report.py": """
import json
import sys


def report(order, notifications):
    import eventsourcing_nats

    print(json.dumps({
        "paid": order.paid,
        "topics": [one.topic for one in notifications],
        "package": eventsourcing_nats.__file__,
        "towpath": sorted({"projections", "api", "runner", "infra"} & sys.modules.keys()),
    }))
""",
    "shop.py": """
from adapters.report import report
from domain.order import Order
from eventsourcing.application import Application

with Application() as shop:
    order = Order("a boat")
    order.pay()
    shop.save(order)
    report(shop.repository.get(order.id), shop.notification_log.select(1, 10))
""",
}


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


def wheel_of(project: Path, directory: Path) -> Path:
    """The wheel of a project, built without a network."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory, cwd=project)
    (wheel,) = directory.glob("*.whl")
    return wheel


def top_level(wheel: Path) -> set[str]:
    """The names that a wheel brings into an environment."""
    with zipfile.ZipFile(wheel) as files:
        return {name.split("/")[0] for name in files.namelist() if ".dist-info/" not in name}


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The interpreter of a fresh environment with this wheel and, by path alone, what it depends on.

    The path file adds the modules that are installed here, but not what this repository installs in place.
    """
    wheel = wheel_of(PACKAGE, tmp_path / "dist")
    assert top_level(wheel) == {"eventsourcing_nats"}
    home = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=tmp_path)
    python = home / "bin" / "python"
    installed = ["-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel]
    run(sys.executable, *installed, cwd=tmp_path, PIP_DISABLE_PIP_VERSION_CHECK="1")
    (site,) = home.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_an_application_beside_it_keeps_its_own_domain_and_adapters(
    environment: Path, nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    project = tmp_path / "shop"
    for name, text in SHOP.items():
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for runs in (1, 2):
        settings = {**Nats(nats_server.control_url).settings(), "NATS_STREAM_PREFIX": "shop"}
        said = json.loads(run(environment, "shop.py", cwd=project, **settings))
        assert said["paid"] is True
        assert said["topics"] == ["domain.order:Order.Placed", "domain.order:Order.Paid"] * runs
        assert Path(said["package"]).is_relative_to(tmp_path / "venv")
        assert said["towpath"] == []


def test_it_is_typed_and_depends_on_the_library_and_the_client_alone(
    environment: Path, tmp_path: Path
) -> None:
    told = run(
        environment,
        "-c",
        "import importlib.metadata as m, importlib.resources as r\n"
        "print(*m.requires('eventsourcing-nats'), sep='\\n')\n"
        "print((r.files('eventsourcing_nats') / 'py.typed').is_file())",
        cwd=tmp_path,
    ).splitlines()
    assert [line.split("<")[0].split(">")[0] for line in told] == ["eventsourcing", "nats-py", "True"]
    assert all("<" in line for line in told[:-1]), "a dependency has no upper bound"


def test_the_wheel_of_the_repository_does_not_bring_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWPATH_BUILD_WITHOUT_CONSOLE", "1")  # it needs Node
    names = top_level(wheel_of(REPOSITORY, tmp_path / "dist"))
    assert "domain" in names
    assert names & {"packages", "eventsourcing_nats", "tests"} == set()
