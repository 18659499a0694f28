"""A change becomes an event: its id from the position, its name from table and verb, its data as handlers see it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from cdc import lsn
from cdc.authoring.triggers import event_name
from cdc.events import ids
from cdc.store.events import Incoming
from cdc.wal.transactions import Change, Header

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Translator:
    """Translates the changes of one source incarnation."""

    def __init__(self, source_id: int, source: str) -> None:
        self._source_id = source_id
        self._source = source
        self._header: Header | None = None
        self._transaction: dict[str, Any] = {}
        self._names: dict[tuple[str, str, str], str] = {}

    def event(self, change: Change) -> Incoming:
        """The event of one change; its `ts` is the commit's."""
        position, header, relation, verb, new, old, unchanged = change
        if header is not self._header:
            self._header = header
            self._transaction = self._shared(header)
        key = (relation.schema, relation.name, verb)
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = event_name(*key)
        data = {
            "new": new,
            "old": old,
            "unchanged": unchanged,
            "schema": relation.schema,
            "table": relation.name,
            **self._transaction,
        }
        return Incoming(
            ids.of_position(self._source_id, position), name, header.commit_time, orjson.dumps(data), position
        )

    def _shared(self, header: Header) -> dict[str, Any]:
        """What all changes of a transaction say of it."""
        committed = _EPOCH + timedelta(microseconds=header.commit_time)
        return {
            "source": self._source,
            "txn_id": header.xid,
            "txn_commit_time": committed.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "lsn": lsn.render(header.commit_lsn),
        }
