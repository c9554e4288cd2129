"""`/console/`: the operators' console, built by `make console` and part of the wheel.

The page is one document for every path, since the console routes by itself; its files have a digest in their
path, never change, and were compressed when they were built. The policy lets in this origin alone, no script
or style inside the page, and no text that becomes HTML. Without a bundle the API runs all the same, and the
page tells what to do.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from api.auth import Parts
from api.middleware.compression import accepted_codings
from api.problems import HttpProblem

router = APIRouter(include_in_schema=False)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types towpath"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_INDEX = {**HEADERS, "Cache-Control": "no-store"}
_FOREVER = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
_ROOT = "%ROOT%"
_FILE = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9]+)+")
_DIGEST = re.compile(r"[0-9a-f]{16}")
_TYPES: Mapping[str, str] = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_CODINGS = (("br", ".br"), ("gzip", ".gz"))
_NOT_BUILT = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Towpath</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,"></head><body><h1>The console is not built yet</h1>
<p>The API runs; only its console is missing. In the checkout, run</p><pre>make console</pre>
<p>and load this page again; no restart is needed. <code>make up</code> builds it too, and wheels hold it.</p>
<p>Meanwhile: <a href="%ROOT%/docs">the API's routes</a>, and <code>towpath --help</code>.</p></body></html>
"""


@router.get("/")
async def start(request: Request) -> Response:
    """To the console, for browsers."""
    if "text/html" not in request.headers.get("accept", ""):
        raise HttpProblem(
            404, "no-such-route", "the console is at /console/; GET /docs lists the API's routes"
        )
    return RedirectResponse(f"{_root(request)}/console/", 303, headers={"Cache-Control": "no-store"})


@router.get("/console")
async def without_slash(request: Request) -> Response:
    """To the console."""
    return RedirectResponse(f"{_root(request)}/console/", 303, headers={"Cache-Control": "no-store"})


@router.get("/console/a/{digest}/{name}")
async def console_file(digest: str, name: str, request: Request, parts: Parts) -> Response:
    """A file of the bundle, as it was compressed when it was built."""
    kind = _TYPES.get(Path(name).suffix)
    if kind is not None and _DIGEST.fullmatch(digest) and _FILE.fullmatch(name):
        path = parts.console / "a" / digest / name
        accepted = accepted_codings(request.headers) | {""}
        for coding, suffix in (*_CODINGS, ("", "")):
            file = path.with_name(name + suffix)
            if coding in accepted and await asyncio.to_thread(file.is_file):
                headers = {**_FOREVER, "Content-Encoding": coding} if coding else _FOREVER
                return FileResponse(file, headers=headers, media_type=kind)
    raise HttpProblem(
        404,
        "no-such-route",
        "there is no such file of the console: load its page again",
        {"Cache-Control": "no-store"},
    )


@router.get("/console/{path:path}")
async def console(request: Request, parts: Parts) -> HTMLResponse:
    """The page, whatever the path below `/console/` is."""
    try:
        page = await asyncio.to_thread((parts.console / "index.html").read_text, "utf-8")
    except FileNotFoundError:
        page = _NOT_BUILT
    return HTMLResponse(page.replace(_ROOT, escape(_root(request))), headers=_INDEX)


def _root(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")
