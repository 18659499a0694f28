"""The publication: an explicit list of tables, grown one by one, with columns and rows left out as the settings say."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import psycopg
from psycopg import sql

from cdc.errors import ConfigurationError, DatabaseRefused, ServerNotReady
from cdc.store import placing
from cdc.store.candidates import Candidate, Place, Plan, plan
from cdc.store.connect import Connection
from cdc.store.placing import Refused
from cdc.store.queries import compose, text
from cdc.store.selection import UNRESTRICTED, Selection, Table

_SINCE_NARROWING = 150000
_SINCE_GENERATED = 180000
"""Versions of Postgres: column lists and row filters came with 15, generated columns with 18."""

NOTHING = Selection()


@dataclass(frozen=True, slots=True)
class Unpublished:
    """Tables that could not be published: those that do not exist, and why the others were refused."""

    absent: frozenset[Table]
    refused: dict[Table, str] = field(default_factory=dict)


class _State(NamedTuple):
    """A publication as it is. `generated`: `n`, `s`, or None on servers that know no generated columns there."""

    for_all_tables: bool
    by_root: bool
    generated: str | None
    is_ours: bool


async def take_turns(conn: Connection) -> None:
    """Wait until no other service brings targets and publication in line; until this connection ends it is our turn.

    One that is frozen in its turn holds nobody up: each statement is right at any time, they only get in each other's
    way.
    """
    with suppress(psycopg.errors.LockNotAvailable):
        await conn.execute(text("publications/lock"))


async def announce(conn: Connection) -> None:
    """Have the listener bring publication and matching in line with the functions that are registered."""
    await conn.execute(text("publications/announce"))


async def ensure(conn: Connection, publication: str, selection: Selection = NOTHING) -> None:
    """Make the publication if there is none, and tell cdc.embed its name and what to leave to the service.

    Raises:
        ConfigurationError: columns or rows are to be left out, on Postgres 14.
        DatabaseRefused: the role may not create publications.
        ServerNotReady: it is FOR ALL TABLES, which would make the application's own UPDATEs fail.
    """
    if selection.narrows and conn.info.server_version < _SINCE_NARROWING:
        raise ConfigurationError(
            f"CDC_FILTER, and columns in CDC_EXCLUDE, need Postgres 15; this is {conn.info.server_version // 10000}.",
            hint="Exclude whole tables, or upgrade the server.",
        )
    state = await _state(conn, publication)
    if state is None:
        await _create(conn, publication, selection)
    elif state.for_all_tables:
        raise ServerNotReady(
            f"The publication {publication!r} is FOR ALL TABLES; it would publish the service's own tables, too.",
            hint="Drop it and let the service make its own, or choose another name with CDC_PUBLICATION.",
        )
    restricted = sorted({*selection.restrictions} | selection.excluded)
    await conn.execute(text("publications/note"), {"publication": publication, **_arrays(restricted)})


async def tables(conn: Connection, publication: str) -> frozenset[Table]:
    """The tables published now."""
    rows = await (await conn.execute(text("publications/tables"), {"publication": publication})).fetchall()
    return frozenset((schema, table) for schema, table in rows)


async def publish(
    conn: Connection,
    publication: str,
    wanted: Iterable[Table],
    selection: Selection = NOTHING,
    *,
    strict: bool = False,
) -> Unpublished:
    """Publish these tables, too, and what the selection asks for; says which could not be, and why.

    A table whose columns or rows cannot be left out as they should is published no more; if `strict`, it stays as it is
    and the settings are refused.

    Raises:
        ConfigurationError: strict, and the settings cannot be met.
        DatabaseRefused: what must not be published is, and only its owner can change that.
    """
    wanted = frozenset(wanted)
    candidates = await _candidates(conn, publication, selection, wanted)
    todo = plan(candidates, selection, wanted)
    if strict and todo.faulty:
        table = min(todo.faulty)
        raise ConfigurationError(
            f"{'.'.join(table)} cannot be published as it is set: {todo.refused[table]}.",
            hint="Correct CDC_EXCLUDE or CDC_FILTER.",
        )
    state = await _state(conn, publication)
    if state is not None and _differs(conn, state, selection):
        async with conn.transaction():
            await _carry_out(conn, publication, selection, todo, state, strict=strict)
    else:
        await _carry_out(conn, publication, selection, todo, None, strict=strict)
    known = {each.table for each in candidates}
    return Unpublished((wanted | selection.named) - known, todo.refused)


async def planned(conn: Connection, publication: str, wanted: frozenset[Table], selection: Selection) -> Plan:
    """What `publish` would do, and nothing of it done."""
    return plan(await _candidates(conn, publication, selection, wanted), selection, wanted)


async def prune(conn: Connection, publication: str, needed: Iterable[Table], selection: Selection) -> list[Table]:
    """Publish no more what nobody needs: neither functions nor embeddings nor the selection. Returns those tables."""
    needed = frozenset(needed)
    dropped = []
    for each in await _candidates(conn, publication, selection, needed):
        asked_for = any(table in needed | selection.named or selection.matches(table) for table in each.family)
        if each.is_member and not asked_for:
            await placing.drop(conn, publication, each.table)
            dropped.append(each.table)
    return dropped


async def _candidates(
    conn: Connection, publication: str, selection: Selection, wanted: frozenset[Table]
) -> list[Candidate]:
    named = sorted(wanted | selection.named | {*selection.restrictions} | selection.excluded)
    parameters = {
        "publication": publication,
        **_arrays(named),
        "in_schemas": sorted(selection.schemas),
        "everything": selection.everything,
    }
    rows = await (await conn.execute(text("publications/candidates"), parameters)).fetchall()
    return [Candidate(*row) for row in rows]


async def _state(conn: Connection, publication: str) -> _State | None:
    row = await (await conn.execute(text("publications/state"), {"publication": publication})).fetchone()
    return None if row is None else _State(*row)


async def _create(conn: Connection, publication: str, selection: Selection) -> None:
    name = sql.Identifier(publication)
    try:
        async with conn.transaction():
            await conn.execute(compose("publications/create", publication=name, by_root=sql.Literal(selection.by_root)))
            if conn.info.server_version >= _SINCE_GENERATED:
                await conn.execute(compose("publications/set_generated", publication=name))
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseRefused(
            f"This role may not create the publication {publication!r}: {error.diag.message_primary}.",
            hint=f"As the database's owner: CREATE PUBLICATION {name.as_string(conn)};",
        ) from None
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        pass  # another service made it first, or in the same moment


def _differs(conn: Connection, state: _State, selection: Selection) -> bool:
    """Whether the publication has other options than it should, and we can or must do something about it."""
    return state.by_root != selection.by_root or (state.generated == "n" and state.is_ours)


async def _carry_out(
    conn: Connection, publication: str, selection: Selection, todo: Plan, state: _State | None, *, strict: bool
) -> None:
    """First what must go, then the options (`state` is given where they differ), which what comes may rest on."""
    for table in todo.drop:
        await placing.hide(conn, publication, table)
    if state is not None:
        await _set_options(conn, publication, selection, state)
    for place in todo.put:
        refused = await placing.put(conn, publication, place)
        if refused is None:
            continue
        todo.refused[place.table] = refused.reason
        if strict and place.restriction != UNRESTRICTED:
            _stop(place, refused)
        if place.exposes:
            await placing.hide(conn, publication, place.table)


def _stop(place: Place, refused: Refused) -> None:
    """Stop where the settings cannot be met. A table that shows nothing it must not, its owner may publish later."""
    if not refused.by_right:
        raise ConfigurationError(
            f"{'.'.join(place.table)} cannot be published as it is set: {refused.reason}.",
            hint="Correct CDC_EXCLUDE or CDC_FILTER, or the table.",
        )
    if place.exposes:
        raise DatabaseRefused(
            f"{'.'.join(place.table)} is published with what CDC_EXCLUDE or CDC_FILTER leaves out.",
            hint=refused.reason[:1].upper() + refused.reason[1:],
        )


async def _set_options(conn: Connection, publication: str, selection: Selection, state: _State) -> None:
    name = sql.Identifier(publication)
    if state.by_root != selection.by_root:
        statement = compose("publications/set_root", publication=name, by_root=sql.Literal(selection.by_root))
        try:
            await conn.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            raise DatabaseRefused(
                f"CDC_PARTITIONS is {'root' if selection.by_root else 'leaf'}, the publication {publication!r} is made "
                "for the other, and is not this role's.",
                hint=f"As its owner: {statement.as_string(conn)};",
            ) from None
    if state.generated == "n" and state.is_ours:
        await conn.execute(compose("publications/set_generated", publication=name))


def _arrays(tables: Iterable[Table]) -> dict[str, list[str]]:
    tables = list(tables)
    return {"schemas": [schema for schema, _ in tables], "tables": [table for _, table in tables]}
