"""What PostgreSQL answered, in the words of this code base: SQLSTATEs, constraints, lost connections."""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DBAPIError, OperationalError

from kernel.pure.errors import Unavailable

SERIALIZATION_FAILURE: Final = "40001"
DEADLOCK_DETECTED: Final = "40P01"
UNIQUE_VIOLATION: Final = "23505"
CHECK_VIOLATION: Final = "23514"
LOCK_NOT_AVAILABLE: Final = "55P03"
QUERY_CANCELED: Final = "57014"
INSUFFICIENT_PRIVILEGE: Final = "42501"
INVALID_AUTHORIZATION: Final = "28000"
"""Raised by `kernel.require_principal` for a caller whose rights have changed since the token was issued."""

_CONNECTION_STATES: Final = ("08", "57P", "53300")
"""Connection exceptions, operator intervention (shutdown, starting up), too many connections."""

RETRYABLE: Final = frozenset({SERIALIZATION_FAILURE, DEADLOCK_DETECTED})
BUSY: Final = RETRYABLE | {LOCK_NOT_AVAILABLE, QUERY_CANCELED, "25006", "25P03"}
"""What passes by itself: these, a lock that somebody holds, a timeout, read-only after a failover, an idle timeout."""


class ConnectionLost(Unavailable):
    """The database could not be reached, or the connection broke before COMMIT was sent: nothing was stored."""

    code = "database-unavailable"
    title = "The database cannot be reached"

    def __init__(self) -> None:
        super().__init__("The database cannot be reached; nothing was stored. Try again shortly.")


class CommitUnknown(Unavailable):
    """The connection broke between COMMIT and its answer: only a replay can tell whether it was stored."""

    code = "outcome-unknown"
    title = "The outcome is not known"

    def __init__(self) -> None:
        super().__init__(
            "The connection to the database broke while the change was being stored. "
            "Send the same request with the same Idempotency-Key again to learn what happened."
        )


class TransactionDoomed(RuntimeError):
    """A block went on after an error that had already doomed its transaction; nothing was stored."""


class StatementRefused(RuntimeError):
    """A module's statement is not one that the ownership guard lets pass."""


def sqlstate(error: BaseException) -> str | None:
    """The five-character SQLSTATE of a database error, else None."""
    return getattr(error.orig, "pgcode", None) if isinstance(error, DBAPIError) else None


def constraint(error: BaseException) -> str | None:
    """The name of the constraint that a database error reports as violated, else None."""
    diagnostics = getattr(error.orig, "diag", None) if isinstance(error, DBAPIError) else None
    return getattr(diagnostics, "constraint_name", None)


def is_connection_loss(error: DBAPIError) -> bool:
    """Whether the server could not be reached, went away, or sent the connection off."""
    state = sqlstate(error)
    if state is None:
        # libpq reports refused and broken connections without a SQLSTATE.
        return error.connection_invalidated or isinstance(error, OperationalError)
    return error.connection_invalidated or state.startswith(_CONNECTION_STATES)
