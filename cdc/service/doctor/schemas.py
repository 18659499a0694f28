"""Our schemas, and the database of the state where it is another one."""

from __future__ import annotations

from cdc.service.doctor.finding import Finding, failed, ok
from cdc.service.doctor.subject import Subject
from cdc.service.preflight import OLDEST
from cdc.store import examining, migrate, server
from cdc.store.connect import STATE, Connection, place
from cdc.store.migrate import Kind


async def of_source(subject: Subject) -> Finding:
    """Schema cdc is one that this version can work with."""
    return await _schema(subject.watched, "source")


async def of_state(subject: Subject) -> Finding:
    """Schema cdc_state is, too."""
    return await _schema(subject.state, "state")


async def _schema(conn: Connection, kind: Kind) -> Finding:
    missing = await migrate.missing(conn, kind)
    if not missing:
        return ok(f"up to date ({migrate.available(kind)[-1].name})")
    if len(missing) == len(migrate.available(kind)):
        return ok("made at the first start")
    return ok(f"the next start brings it up to date ({len(missing)} migrations)")


async def database_of_state(subject: Subject) -> Finding:
    """Where events and runs are kept."""
    if not subject.databases.apart:
        return ok("in the watched database")
    where = place(subject.databases.state)
    facts = await server.facts(subject.state)
    if facts.version < OLDEST or facts.in_recovery or facts.encoding != "UTF8":
        return failed(f"{where} is too old, a standby or not UTF8", f"Name another database in {STATE}.")
    if await examining.through_proxy(subject.state):
        return ok(f"{where}, through a proxy; where that is a transaction pooler the service polls")
    return ok(where)
