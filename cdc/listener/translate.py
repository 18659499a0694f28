"""A change becomes an event: its id from the position, its name from table and verb, its data as handlers see it."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import orjson

from cdc import lsn
from cdc.authoring.triggers import RETRIED, SIGNAL, event_name, is_taken
from cdc.events import ids
from cdc.events.given import given_by_sender
from cdc.events.match import Table
from cdc.listener import messages
from cdc.lsn import Position
from cdc.store.events import Incoming, RowChange
from cdc.store.json import loads
from cdc.wal.relations import Relation
from cdc.wal.transactions import Change, Header, Message

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_new = tuple.__new__
"""Makes a named tuple in half the time that its class takes to be called."""


class Translator:
    """Translates the changes of one source incarnation.

    The hottest code of the service: what a transaction or a table's changes have in common is encoded once.
    """

    def __init__(self, source_id: int, source: str) -> None:
        self._source_id = source_id
        self._source = source
        self._header: Header | None = None
        self._relation: Relation | None = None
        self._verb = self._name = ""
        self._transaction = self._end = self._rest = b""
        self._id = ids.of_transaction(source_id, 0)
        self._carries_row = False
        self._kinds: dict[tuple[str, str, str], tuple[str, bytes, bool]] = {}
        self._narrowed: Collection[Table] = ()

    def narrow(self, tables: Collection[Table]) -> None:
        """From now on the events of these tables carry their rows, and no others do."""
        if tables is not self._narrowed:
            self._narrowed = tables
            self._kinds.clear()
            self._header = None

    def event(self, change: Change) -> Incoming:
        """The event of one change; its `ts` is the commit's."""
        position, header, relation, verb, new, old, unchanged = change
        if header is not self._header or relation is not self._relation or verb is not self._verb:
            self._turn_to(header, relation, verb)
        if old is None and not unchanged:
            data = b'{"new":' + orjson.dumps(new) + self._rest
        else:
            data = b'{"new":%b,"old":%b,"unchanged":%b%b' % (
                orjson.dumps(new),
                orjson.dumps(old),
                orjson.dumps(unchanged),
                self._end,
            )
        row = RowChange(_identity(relation), new, old, unchanged) if self._carries_row else None
        return _new(Incoming, (self._id(position[1]), self._name, header[1], data, position, None, row, None))

    def sent(self, message: Message) -> Incoming:
        """The event of one `cdc.send()` or `cdc.signal()`; see migrations/source for what the message is.

        Raises:
            ValueError: it is not, so somebody else emitted it under our prefix.
        """
        first, _, data = message.content.partition(b"\n")
        name, _, more = first.decode().partition(" ")
        is_signal = name.startswith(SIGNAL) and name != SIGNAL
        if message.header is None or (is_taken(name) and not is_signal) or not isinstance(loads(data), dict):
            raise ValueError("not a message of cdc.send")
        event_id = ids.of_position(self._source_id, message.position)
        event = Incoming(event_id, name, message.header.commit_time, data, message.position)
        return _with(event, loads(more)) if more else event

    def retried(self, message: Message) -> Incoming:
        """The event of one row that `cdc.retry_embeddings()` names; see migrations/source for what the message is.

        Raises:
            ValueError: it is not, so somebody else emitted it under our prefix.
        """
        match message.header, loads(message.content):
            case (Header() as header, {"schema": str() as schema, "table": str() as table, "key": dict() as key}):
                data = orjson.dumps({"new": key, "old": None, "unchanged": [], "schema": schema, "table": table})[:-1]
                event_id = ids.of_position(self._source_id, message.position)
                name, data = event_name(schema, table, RETRIED), data + self._of_transaction(header)
                return Incoming(event_id, name, header.commit_time, data, message.position)
        raise ValueError("not a message of cdc.retry_embeddings")

    def message(self, message: Message) -> Incoming:
        """The event of a logical message of the user's own; outside a transaction its `ts` is the present moment."""
        event_id = ids.of_position(self._source_id, message.position)
        if message.header is None:
            return messages.event(event_id, message, time.time_ns() // 1000, self._of_nothing(message.position))
        return messages.event(event_id, message, message.header.commit_time, self._of_transaction(message.header))

    def _turn_to(self, header: Header, relation: Relation, verb: str) -> None:
        """From now on, changes of this kind, until there is one of another."""
        if header is not self._header:
            self._transaction = self._of_transaction(header)
            self._id = ids.of_transaction(self._source_id, header.commit_lsn)
        self._header, self._relation, self._verb = header, relation, verb
        kind = relation.schema, relation.name, verb
        self._name, table, self._carries_row = self._kinds.get(kind) or self._of_kind(*kind)
        self._end = table + self._transaction
        self._rest = b',"old":null,"unchanged":[]' + self._end

    def _of_kind(self, schema: str, table: str, verb: str) -> tuple[str, bytes, bool]:
        """The event's name, what the data of all such events says of the table, and whether they carry their rows."""
        encoded = b"," + orjson.dumps({"schema": schema, "table": table})[1:-1]
        kind = self._kinds[schema, table, verb] = (
            event_name(schema, table, verb),
            encoded,
            (schema, table) in self._narrowed,
        )
        return kind

    def _of_transaction(self, header: Header) -> bytes:
        """What the data of all events of a transaction ends with."""
        committed = _EPOCH + timedelta(microseconds=header.commit_time)
        shared = {
            "source": self._source,
            "txn_id": header.xid,
            "txn_commit_time": committed.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "lsn": lsn.render(header.commit_lsn),
        }
        return b"," + orjson.dumps(shared)[1:]

    def _of_nothing(self, position: Position) -> bytes:
        """The same for what stands outside any transaction."""
        own = lsn.render(position.commit_lsn)
        return b"," + orjson.dumps({"source": self._source, "txn_id": None, "txn_commit_time": None, "lsn": own})[1:]


def _identity(relation: Relation) -> tuple[int, str, tuple[str, ...]]:
    return relation.oid, relation.replica_identity, relation.key_columns


def _with(event: Incoming, more: object) -> Incoming:
    """The event with what its sender gave besides.

    Raises:
        ValueError: that is not what cdc.send writes.
    """
    match more:
        case {"given": dict() as given, "user": dict() | None as user}:
            extra, ts = given_by_sender(given.get("id"), given.get("ts"), user, given.get("v"))
            return event._replace(ts=event.ts if ts is None else ts, extra=extra)
    raise ValueError("not a message of cdc.send")
