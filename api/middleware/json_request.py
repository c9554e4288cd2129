"""JSON bodies of requests, parsed by the one parser of outside JSON."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from domain.validation.json_reader import read_bounded


class JsonRequest(Request):
    """A request for FastAPI's handlers. Made of another one before anything has read its body."""

    @classmethod
    def of(cls, request: Request) -> JsonRequest:
        """`request`, with its headers, state and body still to come."""
        return cls(request.scope, request.receive)

    async def json(self) -> Any:
        """The body's value. Raises json.JSONDecodeError."""
        return read_bounded(await self.body())
