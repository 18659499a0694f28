"""The change of a row, column by column: what an event of a table says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["changed", "same", "new", "unsent"]


@dataclass(frozen=True, slots=True)
class Column:
    """`state`: changed, or the same as before; new: what it was before is not known; unsent: not in the WAL."""

    name: str
    state: State
    old: Any = None
    new: Any = None


@dataclass(frozen=True, slots=True)
class RowChange:
    """`facts` is what is told of table and transaction. `knows_old`: the old row, or its key, came with the change."""

    verb: str
    table: str
    columns: Sequence[Column]
    facts: Mapping[str, Any]
    knows_old: bool

    @property
    def changed(self) -> int:
        """How many columns are known to have changed."""
        return sum(column.state == "changed" for column in self.columns)


_FACTS = ("schema", "table", "source", "lsn", "txn_id", "txn_commit_time")


def read(name: str, data: Any) -> RowChange | None:
    """The change that an event tells of; None: it is no event of a table, or not as we write them."""
    prefix, _, verb = name.rpartition(".")
    if not prefix.startswith("db/") or not isinstance(data, dict):
        return None
    new, old, unchanged = data.get("new"), data.get("old"), data.get("unchanged", [])
    if not all(isinstance(part, dict | None) for part in (new, old)) or not isinstance(unchanged, list):
        return None
    if new is None and old is None:
        return None
    facts = {fact: data[fact] for fact in _FACTS if data.get(fact) is not None}
    columns = [_column(each, new, old, set(map(str, unchanged))) for each in _names(new or {}, old or {}, unchanged)]
    return RowChange(verb, prefix.removeprefix("db/"), columns, facts, old is not None)


def _names(new: Mapping[str, Any], old: Mapping[str, Any], unchanged: Sequence[Any]) -> list[str]:
    """The key first: its columns are all that came of the old row, or the first one. Then what changed."""
    names = [*dict.fromkeys((*(new or old), *old, *map(str, unchanged)))]
    key = set(old) if 0 < len(old) < len(names) and new else set(names[:1])
    changed = {name for name in names if name in new and name in old and new[name] != old[name]}
    return sorted(names, key=lambda name: (name not in key, name not in changed))


def _column(name: str, new: Mapping[str, Any] | None, old: Mapping[str, Any] | None, unchanged: set[str]) -> Column:
    if new is None:
        return Column(name, "same", old and old.get(name))
    if name in unchanged and name not in new:
        return Column(name, "unsent", old and old.get(name))
    if old is None or name not in old:
        return Column(name, "new", None, new.get(name))
    return Column(name, "same" if old[name] == new.get(name) else "changed", old[name], new.get(name))
