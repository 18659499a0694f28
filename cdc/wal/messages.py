"""The messages of the pgoutput plugin, protocol version 1.

Postgres docs, Frontend/Backend Protocol: Logical Replication Message Formats. Times are microseconds since the Unix
epoch.
"""

from __future__ import annotations

from typing import NamedTuple

from cdc.lsn import Lsn
from cdc.wal.relations import Relation
from cdc.wal.rows import Row


class Begin(NamedTuple):
    """A transaction starts; `final_lsn` is the LSN of its commit, known because it is sent once it has committed."""

    final_lsn: Lsn
    commit_time: int
    xid: int


class Commit(NamedTuple):
    """A transaction ends. `end_lsn` is what to confirm: confirming `commit_lsn` brings the transaction again."""

    commit_lsn: Lsn
    end_lsn: Lsn
    commit_time: int


class Origin(NamedTuple):
    """The transaction came to this server by replication, from the origin of this name."""

    commit_lsn: Lsn
    name: str


class Type(NamedTuple):
    """A type that is not built in, announced before the relation that uses it."""

    oid: int
    schema: str
    name: str


class Insert(NamedTuple):
    """A row came into the publication: a new one, or one that a row filter lets in since its update."""

    relation: Relation
    new: Row
    unchanged: tuple[str, ...]


class Update(NamedTuple):
    """A row changed.

    `old` is None for an ordinary update under the default identity, the key columns if the key changed, the full row
    under REPLICA IDENTITY FULL. `unchanged` names the TOAST columns that are neither in `new` nor in `old`.
    """

    relation: Relation
    new: Row
    old: Row | None
    unchanged: tuple[str, ...]


class Delete(NamedTuple):
    """A row left the publication; `old` is its key columns, or all of it under REPLICA IDENTITY FULL."""

    relation: Relation
    old: Row


class Truncate(NamedTuple):
    """Tables were emptied by one command."""

    relations: tuple[Relation, ...]
    cascade: bool
    restart_identity: bool


class LogicalMessage(NamedTuple):
    """What pg_logical_emit_message wrote. A transactional one stands between Begin and Commit, others anywhere else."""

    transactional: bool
    lsn: Lsn
    prefix: str
    content: bytes


PgMessage = Begin | Commit | Origin | Relation | Type | Insert | Update | Delete | Truncate | LogicalMessage
