"""Every page in every state, light and dark, wide and narrow: no fault of axe's, no text cut off."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.pages.console.catalogue import PAGES, PageCase, cases, show
from tests.pages.console.conftest import Screen
from tests.pages.console.installations import Lively
from tests.pages.console.looks import faults, layout_faults, motion_faults
from tests.support.repository import REPO
from tests.support.towpath import Up

pytestmark = pytest.mark.pages

VIEWS = ((1440, "light"), (1440, "dark"), (390, "dark"), (390, "light"))
ZOOMED = (720, 320)
"""Widths of 1440 px at 200 %, and of the narrowest window that WCAG asks for (1280 px at 400 %)."""


@pytest.fixture(scope="module")
def window(browser: Browser, full: Lively) -> Iterator[Screen]:
    """One for all: a context costs more than a page."""
    context = browser.new_context(reduced_motion="reduce", bypass_csp=True)
    yield Screen(full.up, context)
    context.close()


@pytest.mark.parametrize(("case", "state"), cases(), ids=lambda one: getattr(one, "name", one))
def test_no_page_is_at_fault_in_any_state(
    full: Lively, up: Up, window: Screen, case: PageCase, state: str
) -> None:
    page = window.page
    found: dict[str, list[str]] = {}  # views by fault

    def note(view: str, said: list[str]) -> None:
        for one in said:
            found.setdefault(one, []).append(view)

    page.set_viewport_size({"width": VIEWS[0][0], "height": 900})
    show(page, case, state, full, up.url)
    for width, scheme in VIEWS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        note(f"{width} {scheme}", faults(page))
    for width in ZOOMED:
        page.set_viewport_size({"width": width, "height": 900})
        note(str(width), layout_faults(page))
    note("reduced motion", motion_faults(page))
    assert not found, "\n".join(f"{one}  ({', '.join(views)})" for one, views in found.items())


def test_every_route_of_the_router_is_in_the_catalogue() -> None:
    table = (REPO / "api/console/src/pages.tsx").read_text()
    assert {page.route for page in PAGES} == set(re.findall(r'\{ path: "([^"]+)"', table))
