"""What can be wrong with the look of a page, whatever it shows: found by axe and by measuring every text.

Each check answers with what is wrong, in words that name the element; an empty list is a sound page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

Scheme = Literal["light", "dark"]
VIEWS: tuple[tuple[int, Scheme], ...] = ((1440, "light"), (1440, "dark"), (390, "dark"), (390, "light"))
HEIGHT = 900
ZOOMED = (720, 320)
"""Widths of 1440 px at 200 %, and of the narrowest window that WCAG asks for (1280 px at 400 %)."""
_AXE = Axe().axe_script
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RULES = {"runOnly": _TAGS, "rules": {"target-size": {"enabled": True}}}
_ANSWER = {"resultTypes": ["violations"]}
_COLOURS = ["color-contrast", "link-in-text-block"]
_MEASURE = Path(__file__).with_name("measure.js").read_text()


COUNT_REQUESTS = """{
    const ask = window.fetch;
    window.underWay = 0;
    window.fetch = (url, ...more) => {
        const counts = !/[?&]wait=[1-9]/.test(url);
        window.underWay += counts;
        const ended = () => { window.underWay -= counts; };
        return ask(url, ...more).finally(() => setTimeout(ended, 100)); // time to read and draw it
    };
}"""
"""For `settle`: how many requests are not answered yet, but for those that wait for news."""
_SETTLED = """() => new Promise((done) => {
    const look = () => window.underWay > 0 ? again() : done();
    const again = () => { clearTimeout(timer); timer = setTimeout(look, 250); };
    let timer = setTimeout(look, 250);
    new MutationObserver(again).observe(document.body, { childList: true, subtree: true });
    setTimeout(done, 10_000);
})"""

_DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
"""Pictures that fit the window are drawn anew in the next frame."""


def settle(page: Page) -> None:
    """Wait until requests are answered, but for live streams, and no element has come or gone for a while."""
    page.evaluate(_SETTLED)


def axe_faults(page: Page, only: list[str] | None = None) -> list[str]:
    """Violations of WCAG 2.2 A and AA and of axe's best practices, or of some rules. Needs `bypass_csp`."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE)
    rules = _RULES if only is None else {"runOnly": only}
    found = page.evaluate("options => axe.run(document, options)", rules | _ANSWER)["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


def layout_faults(page: Page) -> list[str]:
    """Sideways scroll, texts that lie on each other or are cut off, inline styles in the markup."""
    found: list[str] = page.evaluate(f"({_MEASURE})()")
    return found


def motion_faults(page: Page) -> list[str]:
    """Animations that go on although the person wants none."""
    moving = "document.getAnimations().map(one => one.effect.target.outerHTML.slice(0, 120))"
    return [f"moves: {html}" for html in page.evaluate(moving)]


def press(page: Page, *keys: str) -> None:
    """Press `keys`, once what is shown listens: shortcuts begin with the frame after they were rendered."""
    page.evaluate(_DRAWN)
    for key in keys:
        page.keyboard.press(key)


def _resize(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": HEIGHT})
    page.evaluate(_DRAWN)


def faults_in_every_view(page: Page) -> list[str]:
    """All of it in each of VIEWS and ZOOMED, without motion; each with the views that have it."""
    found: dict[str, list[str]] = {}
    widths: set[int] = set()
    for width, scheme in VIEWS:
        _resize(page, width)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        # a scheme changes colours and nothing else
        new = axe_faults(page) + layout_faults(page) if width not in widths else axe_faults(page, _COLOURS)
        widths.add(width)
        for fault in new:
            found.setdefault(fault, []).append(f"{width} {scheme}")
    for width in ZOOMED:
        _resize(page, width)
        for fault in layout_faults(page):
            found.setdefault(fault, []).append(str(width))
    for fault in motion_faults(page):
        found.setdefault(fault, []).append("reduced motion")
    return [f"{fault}  ({', '.join(dict.fromkeys(views))})" for fault, views in found.items()]
