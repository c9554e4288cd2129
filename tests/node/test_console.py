"""The console's sources compile, their tests pass, and the wheel serves it without Node.

`make test-node` installs what is needed by the hashes in package-lock.json, then runs this.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.repository import REPO
from tests.support.towpath import Home
from tests.support.wheels import wheel_of

pytestmark = pytest.mark.node
CONSOLE = REPO / "api" / "console"
MARK = "<!-- of the wheel -->"


def npm(*arguments: str) -> None:
    done = subprocess.run(
        ["npm", "run", "--silent", *arguments],
        cwd=CONSOLE,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_compiles_against_the_types_of_our_own_openapi_document() -> None:
    npm("types")
    npm("check")


def test_its_own_tests_pass() -> None:
    npm("test")


def test_what_is_installed_is_pinned_by_hash_and_from_no_certain_host() -> None:
    locked = json.loads((CONSOLE / "package-lock.json").read_text())["packages"]
    packages = [one for name, one in locked.items() if name]
    assert all(one["integrity"].startswith("sha512-") for one in packages)
    assert not any("resolved" in one for one in packages)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the repository."""
    return wheel_of(REPO, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_what_is_served_and_not_what_it_is_made_from(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        names = [name for name in files.namelist() if name.startswith("api/console/")]
        page = files.read("api/console/dist/index.html").decode()
    (digest,) = set(re.findall(r"/console/a/([0-9a-f]{16})/", page))
    served = ("console.js", "feed-worker.js", "style.css")
    wanted = {
        f"api/console/dist/a/{digest}/{name}{coding}" for name in served for coding in ("", ".br", ".gz")
    }
    assert set(names) == {"api/console/dist/index.html", *wanted}


@pytest.fixture
def home(wheel: Path, tmp_path: Path) -> Iterator[Home]:
    """A home whose command runs what the wheel holds, on a machine without Node."""
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    with zipfile.ZipFile(wheel) as files:
        files.extractall(site)
    page = site / "api" / "console" / "dist" / "index.html"
    page.write_text(page.read_text() + MARK)
    without = os.pathsep.join(
        one for one in os.environ["PATH"].split(os.pathsep) if not (Path(one) / "node").exists()
    )
    home = Home(work, PYTHONPATH=str(site), PATH=without)
    yield home
    home.close()


def test_the_wheel_serves_the_console_without_node(home: Home) -> None:
    up = home.up()
    assert f"console    {up.url}/console/" in up.lines
    with httpx.Client(base_url=up.url, headers={"Accept": "text/html"}, follow_redirects=True) as http:
        page = http.get("/")
        assert (page.url.path, page.text.endswith(MARK)) == ("/console/", True)
        paths = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)  # the mark is in the page itself
        assert len(paths) == 2
        for path in paths:
            answer = http.get(path)
            assert answer.status_code == 200
            assert answer.headers["content-encoding"] in ("gzip", "br")
    assert up.server.interrupt() == 0
