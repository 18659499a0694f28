from __future__ import annotations

from cdc.listener.translate import Translator
from cdc.lsn import Position
from cdc.store.events import Incoming, RowChange
from cdc.wal.relations import Column, Relation
from cdc.wal.transactions import Change, Header

HEADER = Header(100, 1_750_000_000_000_000, 7)
USERS = Relation(5, "public", "users", "d", (Column("id", 23, -1, key=True), Column("name", 25, -1, key=False)))


def event(translator: Translator, ordinal: int) -> Incoming:
    new = {"id": 1, "name": "a"}
    return translator.event(Change(Position(100, ordinal), HEADER, USERS, "updated", new, {"id": 2}, ("body",)))


def test_events_of_narrowed_tables_carry_their_rows_and_no_others() -> None:
    translator = Translator(1, "default")
    plain = event(translator, 0)
    assert plain.row is None
    translator.narrow({("public", "users")})
    row = RowChange((5, "d", ("id",)), {"id": 1, "name": "a"}, {"id": 2}, ("body",))
    assert event(translator, 0) == plain._replace(row=row)
    translator.narrow({("crm", "users")})
    assert event(translator, 0) == plain
