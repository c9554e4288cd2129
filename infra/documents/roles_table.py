"""The table of API roles in docs/access.md: which role each route requires."""

from __future__ import annotations

from api.app import described
from api.auth import ROLE_KEY, RUNNER_SCHEME
from api.config import Role
from api.problems import leaves

OPEN, RUNNER = "none", "runner"
_MAY = {
    Role.VIEWER: "looks at tasks, locks, runners, workspaces and metrics",
    Role.AUDITOR: "reads the log too: trails, events, the live stream, evidence",
    Role.OPERATOR: "starts and cancels tasks, registers workspaces, releases locks, replays dead letters",
    Role.ADMIN: "removes workspaces and dead letters",
}


def roles_by_route() -> dict[tuple[str, str], str]:
    """(method, path) to the least role; `runner`: a callback token; `none`: no token."""
    app = described()
    found = {
        ("GET", str(getattr(route, "path", ""))): OPEN  # pages for people, which the document leaves out
        for route in leaves(app.routes)
        if "GET" in (getattr(route, "methods", None) or ()) and not getattr(route, "include_in_schema", True)
    }
    for path, item in app.openapi()["paths"].items():
        for method, operation in item.items():
            runner = any(RUNNER_SCHEME in one for one in operation.get("security", []))
            found[method.upper(), path] = operation.get(ROLE_KEY, RUNNER if runner else OPEN)
    return found


def roles_table() -> str:
    """One line for each role: what it may do, and its routes."""
    routes = roles_by_route()
    lines = ["| role | may, beyond the roles above | routes |", "|---|---|---|"]
    said = {
        OPEN: "no token: probes, documents, the console and its login",
        **{role.label: _MAY[role] for role in Role},
    }
    said[RUNNER] = "`X-Runner-Token`: what runners send"
    for name, may in said.items():
        own = ", ".join(f"`{method} {path}`" for (method, path), least in routes.items() if least == name)
        lines.append(f"| {name} | {may} | {own or '–'} |")
    return "\n".join(lines) + "\n"
