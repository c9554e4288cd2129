"""Every page in every state, light and dark, wide and narrow: no fault of axe's, no text cut off."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.pages.console.catalogue import MOMENTS, PAGES, PageCase, cases, show, show_moment
from tests.pages.console.conftest import Screen
from tests.pages.console.installations import Lively
from tests.pages.console.looks import HEIGHT
from tests.support.repository import REPO
from tests.support.towpath import Up

pytestmark = pytest.mark.pages


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
    page.set_viewport_size({"width": 1440, "height": HEIGHT})
    show(page, case, state, full, up.url)
    window.has_no_fault()


@pytest.mark.parametrize("moment", MOMENTS)
def test_no_dialog_is_at_fault(full: Lively, window: Screen, moment: str) -> None:
    window.page.set_viewport_size({"width": 1440, "height": HEIGHT})
    show_moment(window.page, moment, full)
    window.has_no_fault()


def test_every_route_of_the_router_is_in_the_catalogue() -> None:
    table = (REPO / "api/console/src/pages.tsx").read_text()
    assert {page.route for page in PAGES} == set(re.findall(r'\{ path: "([^"]+)"', table))
