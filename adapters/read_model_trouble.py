"""Tells a database that is away or busy, which passes, from a fault of ours, which must be seen.

The rows go to the drivers directly, so the drivers' own errors come here beside SQLAlchemy's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from asyncpg import exceptions as postgres
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from domain.errors import Busy

TROUBLE = (
    OperationalError,
    InterfaceError,
    PoolTimeout,
    sqlite3.OperationalError,
    postgres.PostgresConnectionError,
    postgres.InterfaceError,
    postgres.InternalClientError,  # asked on, after the server has said that it ends the session
    postgres.OperatorInterventionError,
    postgres.InsufficientResourcesError,
    postgres.InvalidTransactionStateError,
    postgres.ObjectNotInPrerequisiteStateError,
    OSError,
)


class DatabaseUnreachable(Busy):
    """The database of the read model does not answer now; the request can be repeated."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(
            "database-unreachable",
            f"the database of the read model cannot be used ({type(error).__name__}); is it up, and is "
            "TOWPATH_DATABASE_URL right? Try again in a moment",
        )


@contextmanager
def translated() -> Iterator[None]:
    """Raise DatabaseUnreachable for what may pass by itself."""
    try:
        yield
    except TROUBLE as error:
        raise DatabaseUnreachable(error) from error
    except DBAPIError as error:  # what SQLAlchemy has no class for; the driver's own error is its cause
        if error.orig is None or not isinstance(error.orig.__cause__, TROUBLE):
            raise
        raise DatabaseUnreachable(error.orig.__cause__) from error
