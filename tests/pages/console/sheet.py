"""A contact sheet of the console for people: each page in each state, light and dark, wide and narrow.

    make console-sheet [ARGS="--only task"]

Nothing is compared here, as fonts differ between machines: `test_matrix.py` has what a program can see.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.pages.console.catalogue import cases, show
from tests.pages.console.crowd import fill
from tests.pages.console.installations import CAPACITY, LEASE, Lively, lively, lost_runner
from tests.pages.console.looks import settle
from tests.support.repository import REPO
from tests.support.towpath import Home, Up

OUT = REPO / "dist" / "console-sheet"
VIEWS = ((1440, "light"), (1440, "dark"), (390, "light"), (390, "dark"))
TALLEST = 2400
CROWD = 100_000
CROWDED = "crowded"
"""Moments with such a name are of an installation with CROWD tasks."""
_STYLE = """body { font: 14px system-ui; margin: 24px; background: #dfe3e8 } h2 { margin: 32px 0 8px }
div { display: flex; gap: 12px; align-items: start; overflow-x: auto } figure { margin: 0 }
img { display: block; height: 560px }
figcaption { font-size: 12px; color: #555 }"""


def _open(page: Page, button: str) -> None:
    page.get_by_role("button", name=button).first.click()
    page.get_by_role("dialog").wait_for()


def _palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.type("s")
    page.get_by_role("group", name="Workspaces").wait_for()


MOMENTS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "dialog-release": ("/locks", lambda page: _open(page, "Release the lock of build")),
    "dialog-cancel": ("/tasks/:build", lambda page: _open(page, "Cancel…")),
    "dialog-add": ("/workspaces", lambda page: _open(page, "Add…")),
    "dialog-remove": ("/workspaces", lambda page: _open(page, "Remove docs-site")),
    "dialog-keys": ("/tasks", lambda page: page.keyboard.press("?")),
    "palette": ("/", _palette),
    "search-nothing": ("/tasks?q=no-such-thing", lambda page: page.locator(".empty").wait_for()),
    "no-such-page": ("/nowhere", lambda page: page.locator(".empty").wait_for()),
    "crowded-tasks": ("/tasks", lambda page: page.locator("tbody tr").first.wait_for()),
    "crowded-search": (
        "/tasks?status=canceled&q=lint",
        lambda page: page.locator("tbody tr").first.wait_for(),
    ),
}
"""Dialogs and the like: a page, and what a person does there."""


def _shots(page: Page, name: str) -> list[Path]:
    files = []
    for width, scheme in VIEWS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        file = OUT / f"{name}-{width}-{scheme}.png"
        tall = min(TALLEST, page.evaluate("document.documentElement.scrollHeight"))
        page.set_viewport_size({"width": width, "height": max(900, tall)})
        page.screenshot(path=file)
        files.append(file)
    return files


def _take(browser: Browser, full: Lively, empty: Up, only: str) -> Iterator[tuple[str, list[Path]]]:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    for case, state in cases():
        name = f"{case.name}-{state}"
        if only in name:
            page.set_viewport_size({"width": 1440, "height": 900})
            show(page, case, state, full, empty.url)
            yield name, _shots(page, name)
    page.unroute_all()
    moments = {name: one for name, one in MOMENTS.items() if only in name}
    if any(name.startswith(CROWDED) for name in moments):
        fill(full.up, CROWD)
    for name, (path, act) in moments.items():
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(f"{full.up.url}/console{path.replace(':build', full.tasks['build'])}")
        settle(page)
        act(page)
        yield name, _shots(page, name)


def _write(taken: list[tuple[str, list[Path]]]) -> Path:
    parts = [f"<!doctype html><meta charset=utf-8><title>The console</title><style>{_STYLE}</style>"]
    for name, files in taken:
        figures = "".join(
            f'<figure><a href="{f.name}"><img loading="lazy" src="{f.name}"></a></figure>' for f in files
        )
        parts.append(f"<h2>{html.escape(name)}</h2><div>{figures}</div>")
    index = OUT / "index.html"
    index.write_text("\n".join(parts))
    return index


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", default="", help="a part of the names of pictures")
    only = arguments.parse_args().only
    OUT.mkdir(parents=True, exist_ok=True)
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with contextlib.ExitStack() as stack:
        homes = [stack.enter_context(tempfile.TemporaryDirectory(prefix="console-")) for _ in range(2)]
        full_home, empty_home = (stack.enter_context(contextlib.closing(Home(Path(one)))) for one in homes)
        full_up, empty = full_home.up(**CAPACITY, **LEASE), empty_home.up()
        full = lively(full_up)
        lost_runner(full_up)
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=as_root)
        print(_write(list(_take(browser, full, empty, only))))  # noqa: T201
        browser.close()


if __name__ == "__main__":
    main()
