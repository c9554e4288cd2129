"""Takes the README's pictures of the console: `make console-picture`.

Real processes in a world like an installation's, left to themselves for some minutes so that times look like
times; then one window, light and dark. Needs Debian's chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.pages.chromium import launched
from tests.support.repository import REPO
from tests.support.towpath import Home, Up

IMAGES = REPO / "docs" / "images"
PAGE = "/locks/shop"
POINTED = "package the release"
WIDTH, HEIGHT = 1440, 640
RUNS, ENDS = ["sleep", "3600"], ["true"]
FAILS = ["sh", "-c", "echo no such column: total; exit 3"]
# title, workspace, paths, mode, command
TASKS = (
    ("unit tests of the API", "shop", ["api"], "exclusive", ENDS),
    ("migrate the test database", "shop", ["db"], "exclusive", FAILS),
    ("render the changelog", "web", ["docs"], "exclusive", ENDS),
    ("build the shop", "shop", ["src"], "exclusive", RUNS),
    ("check spelling", "shop", ["docs"], "shared", RUNS),
    ("check links", "shop", ["docs"], "shared", RUNS),
    ("bundle the site", "web", ["dist"], "exclusive", RUNS),
    ("agent: rename the cart", "shop", ["src/cart"], "exclusive", ENDS),
    ("package the release", "shop", ["src", "dist"], "exclusive", ENDS),
    ("deploy the site", "web", ["dist", "config"], "exclusive", ENDS),
    ("rewrite the manual", "shop", ["docs"], "exclusive", ENDS),
)


def world(up: Up, seconds: float) -> None:
    """Tasks that hold, wait, have ended and have failed, begun over `seconds`."""
    for name in ("shop", "web"):
        up.workspace(name)
    for title, workspace, paths, mode, command in TASKS:
        up.create(command, title=title, workspace=workspace, lock_paths=paths, lock_mode=mode)
        time.sleep(seconds / len(TASKS))


def take(browser: Browser, up: Up, scheme: str) -> Path:
    """The picture of one colour scheme."""
    path = IMAGES / f"console-{scheme}.png"
    page = browser.new_page(
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    page.goto(f"{up.url}/console{PAGE}")
    page.locator(".waiters .claim").first.wait_for()
    page.locator(".waiters .claim").filter(has_text=POINTED).last.hover()
    page.screenshot(path=path)
    page.close()
    return path


def main() -> None:
    """Write both pictures, and say how large they are."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=240.0, help="over how long the tasks are begun")
    seconds = options.parse_args().seconds
    IMAGES.mkdir(exist_ok=True)
    place = "/srv" if os.access("/srv", os.W_OK) else None  # the picture shows the path
    with (
        tempfile.TemporaryDirectory(prefix="towpath-", dir=place) as work,
        contextlib.closing(Home(Path(work))) as home,
    ):
        up = home.up(TOWPATH_RUNNER_ID="host-7", TOWPATH_RUNNER_CAPACITY="8")
        world(up, seconds)
        with sync_playwright() as playwright, launched(playwright) as browser:
            for scheme in ("light", "dark"):
                path = take(browser, up, scheme)
                sys.stdout.write(f"{path.relative_to(REPO)}: {path.stat().st_size / 1024:.0f} KiB\n")
        up.server.interrupt()


if __name__ == "__main__":
    main()
