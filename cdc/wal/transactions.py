"""Transactions: gives every change its position and leaves out what was accepted before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

from cdc.errors import ProtocolError
from cdc.lsn import Lsn, Position, render
from cdc.wal.messages import Begin, Commit, Delete, Insert, LogicalMessage, PgMessage, Truncate, Update
from cdc.wal.pgoutput import Decoder
from cdc.wal.relations import Relation
from cdc.wal.rows import Row
from cdc.wal.types import NO_TYPES, Types, TypesWanted

Verb = Literal["inserted", "updated", "deleted", "truncated", "backfilled"]


class Header(NamedTuple):
    """What all changes of a transaction share. `commit_time` is in microseconds since the Unix epoch."""

    commit_lsn: Lsn
    commit_time: int
    xid: int


class Change(NamedTuple):
    """One row operation, or one truncated table.

    `old` follows the table's replica identity: None, the key columns or the full row. `unchanged` names the TOAST
    columns that Postgres did not send; they are absent from `new`, never None there.
    """

    position: Position
    header: Header
    relation: Relation
    verb: Verb
    new: Row | None
    old: Row | None
    unchanged: tuple[str, ...]


class Message(NamedTuple):
    """A logical message; one outside any transaction has no header and stands at (its own LSN, 0)."""

    position: Position
    header: Header | None
    prefix: str
    content: bytes


class Committed(NamedTuple):
    """All changes of a transaction have been returned; once they are durable, `end_lsn` may be confirmed."""

    commit_lsn: Lsn
    end_lsn: Lsn


Item = Change | Message | Committed

_new = tuple.__new__
"""Makes a named tuple in half the time that its class takes to be called: rows are what the service is fed with."""

_NOTHING = -1
_EVERYTHING = 1 << 62


class Transactions:
    """Turns pgoutput messages into changes at their positions.

    A change's ordinal counts rows, truncated tables and transactional messages from 0, whether they are skipped or
    not: it is the same whenever the server sends the transaction again.
    """

    def __init__(self, resume_after: Position, types: Types = NO_TYPES) -> None:
        """Changes at or before `resume_after` are skipped: they were accepted earlier."""
        self._decoder = Decoder(types)
        self._left: list[bytes] = []
        self.wanted: frozenset[int] = frozenset()
        self._resume_after = resume_after
        self._header: Header | None = None
        self._next = 0
        self._skip_through = _NOTHING
        # A `match` over the types costs as much as making the change does. Origin, Relation and Type are not in it.
        self._takers: dict[type[PgMessage], Callable[[Any, list[Item]], None]] = {
            Insert: self._insert,
            Update: self._update,
            Delete: self._delete,
            Begin: self._begin,
            Commit: self._commit,
            Truncate: self._truncate,
            LogicalMessage: self._message,
        }

    @property
    def in_flight(self) -> bool:
        """Between Begin and Commit."""
        return self._header is not None

    @property
    def types(self) -> Types:
        """By which rows are decoded."""
        return self._decoder.types

    def learn(self, types: Types) -> None:
        """From now on, decode by these; `feed` goes on where it had stopped."""
        self.wanted = frozenset()
        self._decoder.learn(types)

    def feed(self, payloads: Iterable[bytes]) -> list[Item]:
        """What these messages amount to, in order; a transaction may be spread over any number of calls.

        A Committed comes for skipped transactions too. Messages outside transactions are never skipped.

        With open types it may stop at a message that cannot be decoded before types were read from the catalog: their
        OIDs are in `wanted` then, and what is left is kept until `learn` and the next call, which may be for nothing.

        Raises:
            ProtocolError: a message cannot be read or stands where it must not. The object is useless afterwards.
        """
        items: list[Item] = []
        decode, takers = self._decoder.decode, self._takers
        rest = iter((*self._left, *payloads) if self._left else payloads)
        payload = b""
        try:
            for payload in rest:
                message = decode(payload)
                take = takers.get(type(message))
                if take is not None:
                    take(message, items)
        except TypesWanted as wanted:
            self.wanted = wanted.oids
            self._left = [payload, *rest]
        else:
            self._left = []
        return items

    def _begin(self, begin: Begin, _: list[Item]) -> None:
        if self._header is not None:
            raise ProtocolError(f"a transaction begins before the one of {render(self._header.commit_lsn)} has ended")
        self._header = Header(*begin)
        self._next = 0
        accepted, ordinal = self._resume_after
        if begin.final_lsn == accepted:
            self._skip_through = ordinal
        else:
            self._skip_through = _EVERYTHING if begin.final_lsn < accepted else _NOTHING

    def _commit(self, commit: Commit, items: list[Item]) -> None:
        if self._header is None or self._header.commit_lsn != commit.commit_lsn:
            raise ProtocolError(f"a commit at {render(commit.commit_lsn)} ends no transaction that has begun")
        self._header = None
        items.append(Committed(commit.commit_lsn, commit.end_lsn))

    def _insert(self, insert: Insert, items: list[Item]) -> None:
        relation, new, unchanged = insert
        self._change(items, relation, "inserted", new, None, unchanged)

    def _update(self, update: Update, items: list[Item]) -> None:
        relation, new, old, unchanged = update
        self._change(items, relation, "updated", new, old, unchanged)

    def _delete(self, delete: Delete, items: list[Item]) -> None:
        self._change(items, delete.relation, "deleted", None, delete.old, ())

    def _truncate(self, truncate: Truncate, items: list[Item]) -> None:
        for relation in truncate.relations:
            self._change(items, relation, "truncated", None, None, ())

    def _change(
        self,
        items: list[Item],
        relation: Relation,
        verb: Verb,
        new: Row | None,
        old: Row | None,
        unchanged: tuple[str, ...],
    ) -> None:
        header = self._header
        if header is None:
            raise ProtocolError(f"a row of {relation.schema}.{relation.name} comes outside any transaction")
        ordinal = self._next
        self._next = ordinal + 1
        if ordinal > self._skip_through:
            position = _new(Position, (header[0], ordinal))
            items.append(_new(Change, (position, header, relation, verb, new, old, unchanged)))

    def _message(self, message: LogicalMessage, items: list[Item]) -> None:
        if not message.transactional:
            items.append(Message(Position(message.lsn, 0), None, message.prefix, message.content))
            return
        header = self._header
        if header is None:
            raise ProtocolError(f"a transactional message {message.prefix!r} comes outside any transaction")
        ordinal = self._next
        self._next = ordinal + 1
        if ordinal > self._skip_through:
            items.append(Message(Position(header.commit_lsn, ordinal), header, message.prefix, message.content))
