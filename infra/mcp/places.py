"""The agent's workspace: the registered one whose root contains the directory of this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError

from towpath_client import AsyncClient


async def workspaces(client: AsyncClient) -> list[dict[str, Any]]:
    """All workspaces; `here` marks the one that contains the current directory (the longest root wins)."""
    return _marked([{"id": one.id, "root": one.root, "here": False} async for one in client.workspaces()])


def _marked(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    roots = [Path(one["root"]).resolve() for one in found]
    around = [root for root in roots if Path.cwd().is_relative_to(root)]
    if around:
        found[roots.index(max(around, key=lambda root: len(root.parts)))]["here"] = True
    return found


async def workspace_here(client: AsyncClient) -> str:
    """The id of the workspace that contains the current directory. ToolError if none does."""
    for one in await workspaces(client):
        if one["here"]:
            return str(one["id"])
    directory = Path.cwd()
    raise ToolError(
        f"no registered workspace contains {directory}: name one that `locks` lists, or ask a person to run "
        f"`towpath workspaces add NAME {directory}`"
    )
