"""Which tables belong in the publication, and how much of each: settings and catalog -> what is to be done. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cdc.store.selection import OWN_SCHEMAS, UNRESTRICTED, Restriction, Selection, Table


class Candidate(NamedTuple):
    """A table that may be published: what the catalog says.

    `ancestors`: those that it is a partition of, the nearest first. `columns`: those that can be published.
    `identity`: the columns of its replica identity. `is_member`: named in the publication; `is_published`: by whatever
    way. `published_columns` and `published_filter`: as they are (None on 14). The last four:
    what was done here; `hidden`: columns left out, each with the name that it had then and the one it has now.
    """

    schema: str
    name: str
    is_partitioned: bool
    is_logged: bool
    is_target: bool
    is_member: bool
    is_published: bool
    ancestors: Sequence[Sequence[str]] = ()
    columns: Sequence[str] = ()
    identity: Sequence[str] | None = None
    published_columns: Sequence[str] | None = None
    published_filter: str | None = None
    hidden: Sequence[Sequence[str]] = ()
    restricted_columns: Sequence[str] | None = None
    restricted_filter: str | None = None
    filter_in_force: str | None = None

    @property
    def table(self) -> Table:
        """Schema and name."""
        return self.schema, self.name

    @property
    def family(self) -> list[Table]:
        """The table, and those that it is a partition of."""
        return [self.table, *((schema, name) for schema, name in self.ancestors)]


@dataclass(frozen=True, slots=True)
class Place:
    """How a table is to stand in the publication; None: all columns, all rows.

    `replaces`: it stands there otherwise. `exposes`: what stands there shows what it must not.
    """

    table: Table
    columns: tuple[str, ...] | None = None
    filter: str | None = None
    restriction: Restriction = UNRESTRICTED
    replaces: bool = False
    exposes: bool = False
    any_column: str = ""
    hidden: frozenset[str] = frozenset()
    is_whole: bool = True


@dataclass(slots=True)
class Plan:
    """What is to be done. `faulty` are those of the refused tables for which a setting is to blame."""

    drop: list[Table] = field(default_factory=list)
    put: list[Place] = field(default_factory=list)
    refused: dict[Table, str] = field(default_factory=dict)
    faulty: set[Table] = field(default_factory=set)


def plan(candidates: Iterable[Candidate], selection: Selection, wanted: frozenset[Table]) -> Plan:
    """What brings the publication in line with the selection and with the `wanted` tables; it drops only what must
    not be there.
    """
    return _Planner(list(candidates), selection, wanted | selection.named).planned()


class _Planner:
    def __init__(self, candidates: list[Candidate], selection: Selection, wanted: frozenset[Table]) -> None:
        self._candidates = candidates
        self._selection = selection
        self._wanted = wanted
        self._plan = Plan()

    def planned(self) -> Plan:
        by_parts = {each.table for each in self._candidates if self._goes_by_parts(each)}
        for each in self._candidates:
            meant = self._is_meant(each, by_parts)
            if not (meant or each.is_published or each.is_member):
                continue
            if each.table in by_parts:
                if each.is_member:
                    self._plan.drop.append(each.table)
            elif self._selection.excludes(each.family):
                self._keep_out(each)
            else:
                self._take(each, meant=meant)
        # Partitions first: what is left out of them must be before the table brings them all.
        self._plan.put.sort(key=lambda place: place.is_whole)
        return self._plan

    def _goes_by_parts(self, candidate: Candidate) -> bool:
        """Whether the leaves are published one by one: nothing can be left out of the table for them."""
        return (
            candidate.is_partitioned
            and not self._selection.by_root
            and (self._restriction(candidate) != UNRESTRICTED or self._hides_some(candidate))
        )

    def _hides_some(self, candidate: Candidate) -> bool:
        """Whether the table or a partition of it must not be published at all."""
        return self._selection.excludes(candidate.family) or any(
            self._selection.excludes([each.table]) for each in self._parts(candidate)
        )

    def _parts(self, candidate: Candidate) -> Iterable[Candidate]:
        return (each for each in self._candidates if candidate.table in each.family[1:])

    def _restriction(self, candidate: Candidate) -> Restriction:
        return self._selection.restriction(candidate.family)

    def _is_meant(self, candidate: Candidate, by_parts: set[Table]) -> bool:
        if candidate.table in self._wanted:
            return True
        if any(table in by_parts and self._is_asked_for(table) for table in candidate.family[1:]):
            return True
        if any(self._is_asked_for(table) for table in candidate.family[1:]):
            # Published with the table that it is a partition of, but for what is left out of it alone.
            return not self._selection.by_root and self._restriction(candidate) != UNRESTRICTED
        if candidate.is_target or not candidate.is_logged or (candidate.ancestors and self._selection.by_root):
            return False
        return self._selection.matches(candidate.table)

    def _is_asked_for(self, table: Table) -> bool:
        return table in self._wanted or self._selection.matches(table)

    def _keep_out(self, candidate: Candidate) -> None:
        if candidate.is_member:
            self._plan.drop.append(candidate.table)
        if candidate.table in self._wanted:
            self._plan.refused[candidate.table] = "CDC_EXCLUDE keeps it from being published"

    def _take(self, candidate: Candidate, *, meant: bool) -> None:
        restriction = self._restriction(candidate)
        hidden = restriction.columns & {*candidate.columns} | _renamed(candidate, restriction)
        exposes = candidate.is_published and _exposes(candidate, restriction, hidden)
        reason = self._fault(candidate, hidden)
        if reason:
            self._plan.faulty.add(candidate.table)
        elif meant and not (candidate.is_published or candidate.is_member):
            reason = self._unfit(candidate)
        if reason:
            self._plan.refused[candidate.table] = reason
            if candidate.is_member and candidate.table in self._plan.faulty:
                # It would show what it must not, or make the application's own UPDATE fail: rather no events.
                self._plan.drop.append(candidate.table)
        elif exposes or not _stands(candidate, restriction, hidden):
            self._plan.put.append(_place(candidate, restriction, hidden, exposes=exposes))

    def _fault(self, candidate: Candidate, hidden: frozenset[str]) -> str | None:
        """Why the settings cannot be met."""
        if within := sorted(hidden & {*(candidate.identity or ())}):
            return (
                f"CDC_EXCLUDE names its column {', '.join(within)}, which is of its replica identity: without it the "
                "application's own UPDATE and DELETE would fail"
            )
        if self._selection.by_root and candidate.is_partitioned:
            named = {*self._selection.restrictions} | self._selection.excluded
            for part in self._parts(candidate):
                if part.table in named:
                    return (
                        f"CDC_EXCLUDE or CDC_FILTER names its partition {'.'.join(part.table)}, whose rows are "
                        "published under the name of the table: name that"
                    )
        return None

    def _unfit(self, candidate: Candidate) -> str | None:
        """Why a table cannot be published, whatever the settings."""
        if candidate.schema in OWN_SCHEMAS:
            return "it belongs to the service or to Postgres"
        if candidate.is_target and candidate.table in self._selection.named:
            return "it is the target of an embedding"
        if not candidate.identity:
            name = ".".join(candidate.table)
            return f"it has no primary key; add one, or: ALTER TABLE {name} REPLICA IDENTITY FULL;"
        return None


def _renamed(candidate: Candidate, restriction: Restriction) -> frozenset[str]:
    """What was left out stays left out under another name, as long as the setting has the old one."""
    return frozenset(now for then, now in candidate.hidden if then in restriction.columns) & {*candidate.columns}


def _exposes(candidate: Candidate, restriction: Restriction, hidden: frozenset[str]) -> bool:
    return bool(hidden & {*(candidate.published_columns or candidate.columns)}) or (
        restriction.filter is not None and not _is_in_force(candidate, restriction.filter)
    )


def _is_in_force(candidate: Candidate, condition: str) -> bool:
    return candidate.restricted_filter == condition and candidate.published_filter == candidate.filter_in_force


def _stands(candidate: Candidate, restriction: Restriction, hidden: frozenset[str]) -> bool:
    """Whether a table that exposes nothing stands as it should, with columns that came later."""
    if not candidate.is_published:
        return candidate.is_member
    visible = {*candidate.columns} - hidden
    ours = candidate.restricted_columns is not None
    if (hidden or ours) and not visible <= {*(candidate.published_columns or candidate.columns)}:
        return False
    return not (ours and candidate.restricted_filter and restriction.filter is None)


def _place(candidate: Candidate, restriction: Restriction, hidden: frozenset[str], *, exposes: bool) -> Place:
    """With what the owner had left out by himself still left out."""
    columns: tuple[str, ...] | None = None
    condition = restriction.filter
    if hidden:
        columns = tuple(name for name in candidate.columns if name not in hidden)
    if candidate.is_member and candidate.restricted_columns is None:
        published = candidate.published_columns or candidate.columns
        if not {*candidate.columns} <= {*published}:
            columns = tuple(name for name in published if name not in hidden)
        condition = condition or candidate.published_filter
    return Place(
        candidate.table,
        columns,
        condition,
        restriction,
        replaces=candidate.is_member,
        exposes=exposes,
        any_column=next(iter(candidate.columns), ""),
        is_whole=not candidate.ancestors,
        hidden=hidden,
    )
