"""What is published against what functions and embeddings need."""

from __future__ import annotations

from collections.abc import Sequence

from cdc.service.doctor.finding import Finding, failed, ok, warning
from cdc.service.doctor.subject import Subject
from cdc.service.published import selection
from cdc.store import examining, publications
from cdc.store.examining import TableState
from cdc.wal.connection import identifier

_SHOWN = 5
_NARROWING = 150000


async def publication(subject: Subject) -> Finding:
    """It is there, is a list of tables, and tells every kind of change."""
    name = subject.settings.publication
    found = await examining.publication(subject.watched, name)
    if found is None:
        if await examining.slot(subject.watched, subject.named.slot) is None:
            return ok(f"{name} is made at the first start")
        return failed(
            f"{name} is gone, and the slot cannot be read without it",
            "'cdc slot drop', then 'cdc run' makes both anew; changes in between have no events.",
        )
    if found.all_tables:
        return failed(
            f"{name} is FOR ALL TABLES: UPDATE and DELETE fail in tables without a key, ours are published too",
            "Drop it and let the service make its own, or choose another name with CDC_PUBLICATION.",
        )
    if not found.tells_all:
        return warning(
            f"{name} leaves out some kinds of changes",
            f"ALTER PUBLICATION {identifier(name)} SET (publish = 'insert, update, delete, truncate');",
        )
    return ok(name)


async def tables(subject: Subject) -> Finding:
    """Every table that functions and embeddings need is there and published."""
    wanted = await subject.wanted()
    found = await examining.tables(subject.watched, subject.settings.publication, wanted)
    absent = sorted(wanted - {(table.schema, table.name) for table in found})
    if absent:
        said = _listed([".".join(table) for table in absent])
        return warning(f"{said}: no such table yet", "Create it, or correct the function's trigger.")
    unpublished = [table for table in found if not table.published]
    if foreign := [table for table in unpublished if not table.ours]:
        statement = f"ALTER PUBLICATION {identifier(subject.settings.publication)} ADD TABLE {_written(foreign)};"
        return failed(f"{_names(foreign)}: not published, and not ours to publish", f"As the owner: {statement}")
    if unpublished:
        return warning(f"{_names(unpublished)}: not published yet", "A service that runs does it by itself.")
    return ok(f"{len(found)} published, as functions and embeddings need" if found else "none is needed yet")


async def left_out(subject: Subject) -> Finding:
    """What CDC_EXCLUDE and CDC_FILTER leave out really does not leave Postgres."""
    selected = selection(subject.settings)
    if not (selected.excluded or selected.restrictions):
        return ok("nothing is set to be")
    if selected.narrows and subject.facts.version < _NARROWING:
        return failed("columns and rows can be left out since Postgres 15", "Exclude whole tables, or upgrade.")
    if not await subject.is_set_up():
        return ok("the first start sees to it")
    plan = await publications.planned(
        subject.watched, subject.settings.publication, await subject.asked_for(), selected
    )
    for table in sorted(plan.faulty):
        return failed(f"{'.'.join(table)}: {plan.refused[table]}", "Correct CDC_EXCLUDE or CDC_FILTER.")
    if shown := [*plan.drop, *(place.table for place in plan.put if place.exposes)]:
        return failed(
            f"{_listed(['.'.join(table) for table in shown])}: published with what must not be",
            "'cdc setup' or a start of the service mends it, or says what the table's owner has to do.",
        )
    return ok("as CDC_EXCLUDE and CDC_FILTER say")


async def identities(subject: Subject) -> Finding:
    """UPDATE and DELETE fail in a published table whose rows cannot be told apart."""
    found = await examining.tables(subject.watched, subject.settings.publication, await subject.wanted())
    without = [table for table in found if not table.has_identity]
    if without:
        said = "UPDATE and DELETE fail in them" if any(table.published for table in without) else "not followed"
        statement = f"ALTER TABLE {without[0].written} REPLICA IDENTITY FULL;"
        return failed(f"{_names(without)}: no primary key, {said}", f"Add a primary key, or: {statement}")
    return ok("every table that is needed has one" if found else "no table is needed yet")


def _names(tables: Sequence[TableState]) -> str:
    return _listed([f"{table.schema}.{table.name}" for table in tables])


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _written(tables: Sequence[TableState]) -> str:
    return ", ".join(table.written for table in tables)
