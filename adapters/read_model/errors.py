"""Classifies database errors: unreachable, damaged, refused, or a bug in Towpath.

Rows are written through the drivers directly, so the drivers' own errors occur beside SQLAlchemy's.
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
    postgres.InternalClientError,  # a query after the server has announced the end of the session
    postgres.OperatorInterventionError,
    postgres.InsufficientResourcesError,
    postgres.InvalidTransactionStateError,
    postgres.ObjectNotInPrerequisiteStateError,
    OSError,
)


class DatabaseUnreachable(Busy):
    """The read model's database does not answer; the request can be repeated."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(
            "database-unreachable",
            f"the database of the read model cannot be used ({type(error).__name__}); is it up, and is "
            "TOWPATH_DATABASE_URL right? Try again in a moment",
        )


class DatabaseDamaged(DatabaseUnreachable):
    """The read model's SQLite file is damaged; the message tells what to do."""

    def __init__(self, error: BaseException) -> None:
        Busy.__init__(
            self,
            "database-damaged",
            f"the read model is damaged ({_said(error)}): end what uses it and move read-model.db* in the "
            "data directory (or the file of TOWPATH_DATABASE_URL) away; it is made again from the log",
        )


class DatabaseRefuses(DatabaseUnreachable):
    """PostgreSQL refuses the operation: the user lacks a right, or the schema is not Towpath's."""

    def __init__(self, error: BaseException) -> None:
        Busy.__init__(
            self,
            "database-refuses",
            f"PostgreSQL refuses ({_said(error)}): give the user of TOWPATH_DATABASE_URL the right to make "
            "and use schema towpath; if that schema is not as Towpath made it, drop it: it is made again "
            "from the log",
        )


_REFUSALS = (
    postgres.SyntaxOrAccessError,
    postgres.InvalidAuthorizationSpecificationError,
    postgres.InvalidCatalogNameError,
    postgres.InvalidSchemaNameError,
)


def _said(error: BaseException) -> str:
    """The driver's message on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def trouble_of(error: BaseException) -> DatabaseUnreachable | None:
    """The error to show to the user; None if `error` is a bug in Towpath."""
    causes = [error]
    if isinstance(error, DBAPIError) and error.orig is not None:
        causes += [error.orig, *([error.orig.__cause__] if error.orig.__cause__ else [])]
    for one in causes:
        if (
            isinstance(one, sqlite3.DatabaseError)
            and (getattr(one, "sqlite_errorcode", None) or 0) & 0xFF in _DAMAGED
        ):
            return DatabaseDamaged(one)
        if isinstance(one, _REFUSALS):
            return DatabaseRefuses(one)
    if any(isinstance(one, TROUBLE) for one in causes):
        return DatabaseUnreachable(error)
    return None


_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextmanager
def translated() -> Iterator[None]:
    """Translate database errors that time or an operator can resolve to DatabaseUnreachable."""
    try:
        yield
    except (*TROUBLE, DBAPIError, sqlite3.DatabaseError, *_REFUSALS) as error:
        trouble = trouble_of(error)
        if trouble is None:
            raise
        raise trouble from error
