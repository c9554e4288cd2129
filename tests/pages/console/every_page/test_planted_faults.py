"""The checks of pages find what they are for: each test plants a fault and sees it refused."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.pages.console.catalogue import PAGES, text_of_past
from tests.pages.console.conftest import Opener
from tests.pages.console.installations import Lively
from tests.pages.console.looks import axe_faults, layout_faults, motion_faults
from tests.support.towpath import Up

pytestmark = pytest.mark.pages

STYLES = {
    "a token of 3:1": (":root { --dim: #949494 !important }", "color-contrast"),
    "a target of 10 px": (
        ".top .bare { min-height: 0; min-width: 0; height: 10px; width: 10px }",
        "target-size",
    ),
    "a page that is too wide": ("h1 { width: 3000px }", "sideways scroll"),
    "a title that is cut off": ("h1 { width: 10px; overflow: hidden; white-space: nowrap }", "cut off"),
    "one text on another": (".rail li { height: 4px }", "on each other"),
}


@pytest.mark.parametrize("fault", STYLES)
def test_a_fault_of_style_is_seen(up: Up, screen: Opener, fault: str) -> None:
    style, complaint = STYLES[fault]
    page = screen(up, bypass_csp=True).open("/workspaces")
    expect(page.locator("main .empty")).to_be_visible()
    assert axe_faults(page) + layout_faults(page) == []
    page.add_style_tag(content=style)
    assert any(one.startswith(complaint) for one in axe_faults(page) + layout_faults(page))


def test_motion_is_seen(up: Up, screen: Opener) -> None:
    page = screen(up, bypass_csp=True, reduced_motion="reduce").open("/workspaces")
    expect(page.locator("main .empty")).to_be_visible()
    assert motion_faults(page) == []
    page.evaluate("document.body.animate({ opacity: [0, 1] }, { duration: 60000, iterations: Infinity })")
    assert len(motion_faults(page)) == 1


def test_what_comes_from_a_cdn_is_seen(up: Up, screen: Opener) -> None:
    window = screen(up, bypass_csp=True)
    page = window.open("/workspaces")
    page.route("https://cdn.example/**", lambda route: route.abort())
    with page.expect_request("https://cdn.example/x.png"):
        page.evaluate("() => { new Image().src = 'https://cdn.example/x.png' }")
    with pytest.raises(AssertionError):
        window.check()
    window.expected.append("ERR_FAILED")
    window.origins.discard("https://cdn.example")


def test_a_figure_of_now_in_the_past_is_seen(full: Lively, screen: Opener) -> None:
    """A page that forgets the moment when it asks for locks."""
    window = screen(full.up)
    window.context.route("**/locks?*", lambda route: route.continue_(url=route.request.url.split("at=")[0]))
    (locks,) = (case for case in PAGES if case.name == "locks")
    before = text_of_past(window.page, locks, full)
    task = full.up.create(["sleep", "600"], title="one more", workspace="docs-site", lock_paths=["more"])
    assert text_of_past(window.page, locks, full) != before
    full.up.post(f"/tasks/{task}/cancel")
