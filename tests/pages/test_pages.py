"""The pages in a real browser, Debian's Chromium: what they show, and that they load nothing from elsewhere.

The browser itself says what a page asks for and complains of, which no look at the HTML can. Run by
`make test-pages`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.pages.conftest import TOKENS
from tests.support.towpath import Up

pytestmark = pytest.mark.pages

METHODS = ("get", "put", "post", "delete")
SIZES = {"wide": (1280, 900), "narrow": (390, 844)}
ELSEWHERE = '<script src="http://elsewhere.example/x.js"></script><script>nothing.there()</script>'


class Visit:
    """One page, with all that it asks for and all that the browser complains of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type != "log" else None)

    def origins(self) -> set[str]:
        """Scheme, host and port of whatever was asked for; a `data:` URL asks nobody."""
        parts = [urlsplit(url) for url in self.asked]
        return {f"{one.scheme}://{one.netloc}" for one in parts if one.scheme != "data"}

    def texts(self, selector: str) -> list[str]:
        """What a reader sees of each such element."""
        return [one.inner_text().strip() for one in self.page.locator(selector).all() if one.is_visible()]


@pytest.fixture(params=[(size, scheme) for size in SIZES for scheme in ("light", "dark")], ids="-".join)
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    size, scheme = request.param
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    yield Visit(context.new_page())
    context.close()


def test_docs_shows_every_operation_in_light_and_dark(up: Up, visit: Visit) -> None:
    document = up.get("/openapi.json")
    visit.page.goto(f"{up.url}/docs")
    visit.page.locator(".opblock").first.wait_for()
    operations = [
        f"{method.upper()} {path}"
        for path, item in (document["paths"] | document["webhooks"]).items()
        for method in METHODS
        if method in item
    ]
    shown = ["".join(text.split()) for text in visit.texts(".opblock-summary-path, .opblock-summary-method")]
    assert sorted(map(" ".join, zip(shown[::2], shown[1::2], strict=True))) == sorted(operations)
    dark = visit.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    ground = visit.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (ground in {"rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"}) is not dark
    assert visit.complaints == []
    assert visit.origins() == {up.url}


def test_a_request_is_tried_with_a_token_from_docs(guarded: Up, browser: Browser) -> None:
    page = browser.new_page()
    visit = Visit(page)
    page.goto(f"{guarded.url}/docs")
    create = page.locator(".opblock", has=page.locator('[data-path="/tasks"]')).and_(
        page.locator(".opblock-post")
    )
    create.locator(".opblock-summary-control").click()
    create.locator("textarea").fill(json.dumps({"title": "from the page", "command": ["true"]}))

    def answered(status: str) -> str:
        with page.expect_response(f"{guarded.url}/tasks*"):
            create.locator("button.execute").click()
        live = create.locator(".live-responses-table")
        live.locator(".response-col_status", has_text=status).wait_for()
        return live.inner_text()

    assert "unauthorised" in answered("401")
    page.locator(".auth-wrapper > button.authorize").click()
    operator = page.locator(".auth-container", has_text="TOWPATH_API_TOKENS")
    operator.locator("input").fill(TOKENS["operator"])
    operator.locator("button.authorize").click()
    operator.locator("button", has_text="Logout").wait_for()
    operator.locator("button.btn-done").click()
    assert "from the page" in answered("201")
    headers = {"Authorization": f"Bearer {TOKENS['operator']}"}
    listed = httpx.get(f"{guarded.url}/tasks", headers=headers).json()
    assert [task["title"] for task in listed["items"]] == ["from the page"]
    assert visit.origins() == {guarded.url}
    assert [said for said in visit.complaints if "401" not in said] == []
    page.close()


def test_asyncapi_shows_every_channel_and_shape(up: Up, visit: Visit) -> None:
    document = up.get("/asyncapi.json")
    visit.page.goto(f"{up.url}/asyncapi")
    channels = [
        f"{document['operations'][name]['action']} {channel['address']}"
        for name, channel in document["channels"].items()
    ]
    _shows(visit, channels, document)
    _is_sound(visit, up)
    headers = visit.page.locator("details").first
    assert not headers.get_by_text("ce-").first.is_visible()
    headers.locator("summary").click()
    assert headers.locator("td").first.is_visible()


@pytest.mark.parametrize("path", ["/schemas", "/schemas/task.running.v1.json", "/schemas/towpath.d.ts"])
def test_schemas_and_types_are_shown_as_text(up: Up, browser: Browser, path: str) -> None:
    page = browser.new_page()
    visit = Visit(page)
    page.goto(up.url + path)
    assert len(page.inner_text("body")) > 100
    assert visit.origins() == {up.url}
    page.close()


def test_what_is_loaded_from_elsewhere_and_what_breaks_is_noticed(up: Up, browser: Browser) -> None:
    page = browser.new_page()
    page.route("**/asyncapi", lambda route: route.fulfill(body=ELSEWHERE, content_type="text/html"))
    page.route("http://elsewhere.example/**", lambda route: route.abort())
    visit = Visit(page)
    page.goto(f"{up.url}/asyncapi")
    assert visit.origins() == {up.url, "http://elsewhere.example"}
    assert len(visit.complaints) == 2
    page.close()


@pytest.mark.parametrize("path", ["/docs", "/asyncapi"])
def test_the_policy_of_the_pages_lets_nothing_else_in(up: Up, browser: Browser, path: str) -> None:
    """Also what an attacker might smuggle into a description does not run."""
    page = browser.new_page()
    page.goto(up.url + path)
    page.evaluate(
        "() => { const one = document.createElement('script'); one.textContent = 'window.ran = true';"
        " document.body.append(one) }"
    )
    assert page.evaluate("window.ran") is None
    page.close()


def _shows(visit: Visit, cards: list[str], document: dict[str, Any]) -> None:
    shown = [" ".join(text.split()[:2]) for text in visit.texts("section:has(.tag) h3")]
    assert sorted(shown) == sorted(f"{one.split()[0].upper()} {one.split()[1]}" for one in cards)
    shapes = visit.texts("section:not(:has(.tag)) h3")
    assert sorted(shapes) == sorted(document["components"]["schemas"])


def _is_sound(visit: Visit, up: Up) -> None:
    page = visit.page
    assert visit.complaints == []
    assert visit.origins() == {up.url}
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], "the page is wider than its window"
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    links = page.evaluate("[...document.querySelectorAll('a')].map(one => one.getAttribute('href'))")
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    for link in {link for link in links if not link.startswith("#")}:
        assert page.request.get(up.url + link).ok, link
