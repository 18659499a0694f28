"""What it means that the server says no: from SQLSTATE, or from words where there is none, to our exceptions.

The server's own text is always kept. SQLSTATEs: Postgres docs, appendix A.
"""

from __future__ import annotations

import re

import psycopg

from cdc.errors import (
    CdcError,
    CheckpointMismatch,
    DatabaseRefused,
    DatabaseUnreachable,
    ServerNotReady,
    SlotInUse,
    SlotLost,
    StreamLost,
)

_RESYNC = (
    "'cdc slot drop' gives up this position and the next 'cdc run' makes a new slot. Changes in between have no "
    "events: backfill the tables."
)
_SHORT_OF = re.compile(r"wal_level|max_replication_slots|max_wal_senders|recovery")
_PASSING = ("08", "53", "57")
"""Classes connection exception, insufficient resources, operator intervention: it may work in a moment."""

_NOT_ADMITTED = re.compile(
    r"authentication|no password|not permitted|role .* does not exist|database .* does not exist|pg_hba\.conf"
    r"|permission denied|does not support SSL|certificate"
)
"""libpq hands on no SQLSTATE of a failed connection, so these words have to do; other languages fall through."""


def connection_refused(error: psycopg.Error) -> CdcError:
    """Why no replication connection could be made."""
    said = text_of(error)
    user = error.pgconn.user.decode() if error.pgconn else ""
    if "max_wal_senders" in said:
        return ServerNotReady(
            f"The server has no replication connection to spare: {said}",
            hint="Raise max_wal_senders, or end replication connections that are not needed (pg_stat_replication).",
        )
    if re.search(r"wal ?sender", said, re.IGNORECASE):
        return DatabaseRefused(
            f"The role may not open replication connections: {said}",
            hint=f"{_grant(user)} (on Amazon RDS: GRANT rds_replication TO {_quoted(user)};)",
        )
    if "unsupported startup parameter" in said:
        return DatabaseRefused(
            f"There is a connection pooler at this address: {said}",
            hint="Use the direct host; replication cannot pass through a pooler.",
        )
    if _NOT_ADMITTED.search(said):
        return DatabaseRefused(f"The server refused the replication connection: {said}", hint="Check the database URL.")
    return DatabaseUnreachable(
        f"No replication connection could be made: {said}", hint="Check host and port, and that the server is up."
    )


def command_refused(error: psycopg.Error, *, slot: str, user: str) -> CdcError:
    """Why a replication command on this slot failed."""
    said = text_of(error)
    state = error.sqlstate or "08"
    match state:
        case "55006":
            return SlotInUse(
                f"The replication slot {slot} is in use: {said}",
                hint="After a lost connection the server frees it within wal_sender_timeout; else stop the other one.",
            )
        case "42704":
            return SlotLost(f"The replication slot {slot} is gone: {said}", hint=_RESYNC)
        case "42710":
            return CheckpointMismatch(
                f"The replication slot {slot} exists already: {said}",
                hint="Use another name, or drop it if nobody reads from it.",
            )
        case "42501":
            return DatabaseRefused(f"The role may not use replication slots: {said}", hint=_grant(user))
        case "53400":
            return ServerNotReady(
                f"No replication slot is free: {said}",
                hint="Drop one that is not needed (pg_replication_slots) or raise max_replication_slots and restart.",
            )
        case "55000" if not _SHORT_OF.search(said):
            return SlotLost(f"The replication slot {slot} cannot be read any more: {said}", hint=_RESYNC)
        case _ if state.startswith(_PASSING):
            return StreamLost(f"The connection ended before the command was through: {said}")
        case _:
            return _not_ready(said)


def stream_ended(error: psycopg.Error) -> CdcError:
    """Why a running stream ended."""
    said = text_of(error)
    if error.sqlstate == "42704":
        return publication_missing(said)
    return StreamLost(f"The replication stream ended: {said}")


def publication_missing(said: str) -> CdcError:
    """The publication was not there at this point of the WAL; making it now heals nothing, the slot is older."""
    return ServerNotReady(
        f"The slot is older than its publication: {said}",
        hint="Make the publication first, then a new slot, then backfill.",
    )


def text_of(error: psycopg.Error) -> str:
    """The server's message and detail on one line, or libpq's message if the server said nothing."""
    diagnostic = error.diag
    said = [part for part in (diagnostic.message_primary, diagnostic.message_detail) if part]
    return " ".join((". ".join(said) or str(error)).split())


def _not_ready(said: str) -> CdcError:
    if "wal_level" in said:
        hint = (
            "Run ALTER SYSTEM SET wal_level = logical; and restart the server. Hosted databases have a setting for it: "
            "rds.logical_replication on Amazon RDS, Logical Replication in a Neon project."
        )
    elif "max_replication_slots" in said:
        hint = "Raise max_replication_slots and restart the server."
    else:
        hint = "Check the server's version and settings for logical replication."
    return ServerNotReady(f"The server cannot do logical replication: {said}", hint=hint)


def _grant(user: str) -> str:
    return f"Run ALTER ROLE {_quoted(user)} REPLICATION; as an administrator."


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
