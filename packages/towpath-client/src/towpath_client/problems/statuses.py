"""One class for each status of the API's problems."""

from __future__ import annotations

from typing import ClassVar

from towpath_client.errors import Problem


class StatusProblem(Problem):
    """All problems of one status."""

    STATUS: ClassVar[int]


class BadRequest(StatusProblem):
    """400: the request cannot be read."""

    STATUS = 400


class NotAuthenticated(StatusProblem):
    """401: no known token was sent."""

    STATUS = 401


class PermissionDenied(StatusProblem):
    """403: the token does not allow it."""

    STATUS = 403


class NotFound(StatusProblem):
    """404: what the request names does not exist."""

    STATUS = 404


class WrongMethod(StatusProblem):
    """405: the route takes other methods."""

    STATUS = 405


class RequestTimeout(StatusProblem):
    """408: the request did not arrive in time."""

    STATUS = 408


class Conflict(StatusProblem):
    """409: the present state does not allow the request."""

    STATUS = 409


class TooLarge(StatusProblem):
    """413: the request is too large."""

    STATUS = 413


class WrongMediaType(StatusProblem):
    """415: the request is not declared as JSON."""

    STATUS = 415


class Invalid(StatusProblem):
    """422: the request is wrong; sending it again cannot succeed."""

    STATUS = 422


class TooManyRequests(StatusProblem):
    """429: too many requests; this package tries again by itself first."""

    STATUS = 429


class ServerFault(StatusProblem):
    """500: a fault of the server."""

    STATUS = 500


class Unavailable(StatusProblem):
    """503: try again later; this package tries again by itself first, where that is safe."""

    STATUS = 503


class NoRoom(StatusProblem):
    """507: the log has no room for new work."""

    STATUS = 507
