"""What a failed statement speaks of."""

from __future__ import annotations

import psycopg

# Data exception, integrity, program limit; XX000 is how Postgres reports a datum beyond 1 GB
# (Postgres docs, appendix A).
_VALUE_CLASSES = ("22", "23", "54", "XX")


def about_a_value(error: psycopg.Error) -> bool:
    """Whether some value in the statement is to blame, so that the same statement without it may succeed.

    Everything else (connection, shutdown, disk, locks) speaks of the server: the same statement is tried again.
    """
    return (error.sqlstate or "").startswith(_VALUE_CLASSES)
