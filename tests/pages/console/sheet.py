"""A contact sheet of the console for people: each page in each state, light and dark, wide and narrow.

    make console-sheet [ARGS="--only task"]

Nothing is compared here, as fonts differ between machines: `test_matrix.py` has what a program can see.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.pages.chromium import launched
from tests.pages.console.catalogue import MOMENTS, cases, show, show_moment
from tests.pages.console.crowd import fill
from tests.pages.console.installations import CAPACITY, LEASE, Lively, lively, lost_runner, receiving
from tests.pages.console.looks import HEIGHT, VIEWS, settle
from tests.support.repository import REPO
from tests.support.towpath import Home, Up

OUT = REPO / "dist" / "console-sheet"
TALLEST = 2400
CROWD = 100_000
CROWDED = "crowded"
CROWDED_PATHS = ("/tasks", "/tasks?status=canceled&q=lint", "/locks")
"""Looked at with CROWD tasks more."""
_STYLE = """body { font: 14px system-ui; margin: 24px; background: #dfe3e8 } h2 { margin: 32px 0 8px }
div { display: flex; gap: 12px; align-items: start; overflow-x: auto } figure { margin: 0 }
img { display: block; height: 560px }
figcaption { font-size: 12px; color: #555 }"""


def _shots(page: Page, name: str) -> list[Path]:
    files = []
    for width, scheme in VIEWS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        file = OUT / f"{name}-{width}-{scheme}.png"
        tall = min(TALLEST, page.evaluate("document.documentElement.scrollHeight"))
        page.set_viewport_size({"width": width, "height": max(HEIGHT, tall)})
        page.screenshot(path=file)
        files.append(file)
    return files


def _take(browser: Browser, full: Lively, empty: Up, only: str) -> Iterator[tuple[str, list[Path]]]:
    page = browser.new_context(viewport={"width": 1440, "height": HEIGHT}).new_page()
    for case, state in cases():
        name = f"{case.name}-{state}"
        if only in name:
            page.set_viewport_size({"width": 1440, "height": HEIGHT})
            show(page, case, state, full, empty.url)
            yield name, _shots(page, name)
    for name in (name for name in MOMENTS if only in name):
        page.set_viewport_size({"width": 1440, "height": HEIGHT})
        show_moment(page, name, full)
        yield name, _shots(page, name)
    if only in CROWDED:
        fill(full.up, CROWD)
        for number, path in enumerate(CROWDED_PATHS):
            page.goto(f"{full.up.url}/console{path}")
            settle(page)
            yield f"{CROWDED}-{number}", _shots(page, f"{CROWDED}-{number}")


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
    with contextlib.ExitStack() as stack:
        homes = [stack.enter_context(tempfile.TemporaryDirectory(prefix="console-")) for _ in range(2)]
        full_home, empty_home = (stack.enter_context(contextlib.closing(Home(Path(one)))) for one in homes)
        _, told = stack.enter_context(receiving(full_home.path))
        full_up, empty = full_home.up(**CAPACITY, **LEASE, **told), empty_home.up()
        full = lively(full_up)
        lost_runner(full_up)
        playwright = stack.enter_context(sync_playwright())
        browser = stack.enter_context(launched(playwright))
        print(_write(list(_take(browser, full, empty, only))))  # noqa: T201


if __name__ == "__main__":
    main()
