"""What a failed statement speaks of."""

from __future__ import annotations

import psycopg
import psycopg_pool

StatementFailed = psycopg.Error
"""Any statement that failed."""

ConnectionTrouble = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
)
"""The server is gone, going or out of something, or has ended the session of a process that stood still: connect again
and repeat.
"""

PoolTimeout = psycopg_pool.PoolTimeout
"""No pooled connection became free in time."""

EventRepeated = psycopg.errors.UniqueViolation
"""An event's id is stored already."""

Deadlocked = psycopg.errors.DeadlockDetected
"""Postgres ended one of several transactions that waited for each other; it may be repeated."""

# Data exception, integrity, program limit; XX000 is how Postgres reports a datum beyond 1 GB, and the others of its
# class speak of a corrupted database (Postgres docs, appendix A).
_VALUE_CLASSES = ("22", "23", "54", "XX000")


def about_a_value(error: psycopg.Error) -> bool:
    """Whether some value in the statement is to blame, so that the same statement without it may succeed.

    Everything else (connection, shutdown, disk, locks) speaks of the server: the same statement is tried again.
    """
    if error.sqlstate is None:  # psycopg itself refused it before sending: a NUL in a text, say
        return isinstance(error, psycopg.DataError)
    return error.sqlstate.startswith(_VALUE_CLASSES)
