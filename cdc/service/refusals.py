"""What it means to a person that Postgres failed where no part of ours expected it."""

from __future__ import annotations

from cdc.errors import CdcError, DatabaseRefused, DatabaseUnreachable
from cdc.store.failures import ConnectionTrouble, StatementFailed

_NO_RIGHT = "42501"


def explained(error: Exception) -> CdcError | None:
    """An error of Postgres as one of ours, in its own words; None for any other."""
    if not isinstance(error, StatementFailed):
        return None
    said = (error.diag.message_primary or str(error).partition("\n")[0]).rstrip(".")
    if error.sqlstate == _NO_RIGHT:
        return DatabaseRefused(
            f"This role lacks a right: {said}.",
            hint="Grant it, or connect as the role that made the schemas cdc and cdc_state.",
        )
    if isinstance(error, ConnectionTrouble):
        return DatabaseUnreachable(f"The connection to the database failed: {said}.", hint="Start again when it is up.")
    return CdcError(f"The database refused a statement: {said}.", hint="This is a fault of cdc; please report it.")
