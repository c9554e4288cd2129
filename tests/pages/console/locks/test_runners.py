"""The page of runners: what it shows of a live one, of none, and that it knows nothing of the past."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.pages.console.conftest import Opener, every_view
from tests.support.towpath import Up

pytestmark = pytest.mark.pages


@every_view
@pytest.mark.parametrize("which", ["live", "past", "empty"])
def test_the_page_of_runners_is_at_fault_for_no_screen_reader_or_narrow_window(
    up: Up, screen: Opener, which: str, width: int, height: int, scheme: str
) -> None:
    window = screen(up, width, height, scheme, bypass_csp=True, reduced_motion="reduce")
    page = window.page
    if which == "past":
        up.create(["true"], dispatch=False)
        window.open("/runners?at=1")
        expect(page.get_by_text("Heartbeats are not in the log")).to_be_visible()
        assert page.locator(".page .button").count() == 0
    elif which == "empty":
        empty = '{"items":[],"next_cursor":null}'
        page.route("**/runners?*", lambda one: one.fulfill(body=empty, content_type="application/json"))
        window.open("/runners")
        expect(page.get_by_text("towpath runner --runner-id")).to_be_visible()
    else:
        window.open("/runners")
        expect(page.locator("[data-runner-state=alive]")).to_be_visible()
    window.has_no_fault()
