"""JSON bodies of requests, parsed by the parser for untrusted JSON."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from domain.validation.json_reader import read_bounded


class JsonRequest(Request):
    """A request for FastAPI's handlers, made from another one whose body was not read yet."""

    @classmethod
    def of(cls, request: Request) -> JsonRequest:
        """Wraps `request` with its headers and state; the body is still to be read."""
        return cls(request.scope, request.receive)

    async def json(self) -> Any:
        """The body's value. Raises json.JSONDecodeError."""
        return read_bounded(await self.body())
