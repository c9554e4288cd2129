"""The console's session cookie on requests and responses, protected against cross-site requests (CSRF).

A browser adds a cookie whichever page asks, so a request that changes something must also prove that the
console sent it: with a header that a page of another origin can add only if CORS permits it, which the API
never does, and with the console's own `Origin`. Programs send `Authorization: Bearer`, which needs neither.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import ApiParts
from api.middleware.bodies import READS
from api.problems import HttpProblem
from api.sessions import COOKIE, SECURE_COOKIE, SESSION_LIFE, Session
from domain.validation.web_hosts import WebHosts

CONSOLE_HEADER = "X-Towpath-Console"


def session_of(parts: ApiParts, request: Request) -> Session | None:
    """The session of the request's first valid cookie; None without one.

    Raises:
        HttpProblem: 403 if a valid one comes with an unsafe method that the console did not send.
    """
    values = [request.cookies[name] for name in (SECURE_COOKIE, COOKIE) if name in request.cookies]
    checked = (parts.sessions.check(one, parts.config.operator_tokens, parts.clock()) for one in values)
    session = next((one for one in checked if one is not None), None)
    if session is not None and request.method not in READS:
        require_console(parts, request)
    return session


def require_console(parts: ApiParts, request: Request) -> None:
    """Raise HttpProblem 403 unless the console's own page sent the request."""
    headers = request.headers
    own = WebHosts(parts.config.hosts).own_origin(headers.get("origin", ""), headers.get("host", ""))
    same_site = headers.get("sec-fetch-site", "same-origin") == "same-origin"
    if headers.get(CONSOLE_HEADER) != "1" or not own or not same_site:
        raise HttpProblem(
            403,
            "not-from-console",
            f"a session cookie is for the console's own page: send {CONSOLE_HEADER}: 1 and that page's "
            "Origin, or send Authorization: Bearer <token> instead",
        )


def set_cookie(request: Request, response: Response, value: str) -> None:
    """Hand out a cookie; over TLS one that neither plain HTTP nor another host of the domain can set."""
    secure = _over_tls(request)
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        value,
        max_age=int(SESSION_LIFE.total_seconds()),
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def clear_cookies(response: Response) -> None:
    """Let the browser forget both forms."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    response.delete_cookie(SECURE_COOKIE, path="/", secure=True, httponly=True, samesite="strict")


def _over_tls(request: Request) -> bool:
    """Whether the browser uses TLS; a proxy may end it before this process, but `Origin` still says so."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
