"""`/docs`: Swagger UI on the OpenAPI document; a person can authorise there and try requests.

The page that FastAPI makes loads its script from a CDN, which a tool on an internal network must not do. Here
the files come from the package `fastapi-swagger`, and the content security policy allows this host alone and
no script inside the page: what someone smuggles into a description does not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, HTMLResponse, Response

from api.problems import HttpProblem

router = APIRouter(include_in_schema=False)

_PACKAGE = "fastapi_swagger"
_FILES: Mapping[str, str] = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
# Addresses are relative, so that the page also works behind a proxy that adds a path.
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Towpath API</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css"></head><body><div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script></body></html>
"""
_START = """const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();
SwaggerUIBundle({
  url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true, validatorUrl: null,
});
"""


@router.get("/docs")
async def docs() -> HTMLResponse:
    """The page."""
    return HTMLResponse(_PAGE, headers=_HEADERS)


@router.get("/docs/{name}")
async def docs_file(name: str) -> Response:
    """A file that the page loads: Swagger UI, and the script that starts it."""
    if name == "start.js":
        return Response(_START, headers=_HEADERS, media_type="text/javascript")
    if name not in _FILES:
        raise HttpProblem(404, "no-such-route", "there is no such file; the page is at /docs")
    path = Path(str(files(_PACKAGE) / "resources" / name))
    return FileResponse(path, headers=_HEADERS, media_type=_FILES[name])
