"""The server and the connection to it: can it be watched as it is?"""

from __future__ import annotations

from cdc.errors import CdcError
from cdc.service.doctor.finding import Finding, failed, ok, warning
from cdc.service.doctor.subject import Subject
from cdc.service.preflight import OLDEST
from cdc.store import examining
from cdc.store.connect import place
from cdc.wal.connection import identifier

_NEWEST_TESTED = 18


async def reachable(subject: Subject) -> Finding:
    """There is a connection, or there would be no subject."""
    return ok(f"{place(subject.databases.watched)} answers ({subject.host.name})")


async def tls(subject: Subject) -> Finding:
    """Who may listen in, and whether the server is who it says."""
    on, mode, near = examining.tls(subject.watched)
    verifies = "add sslmode=verify-full and, for certificates of public authorities, sslrootcert=system to the URL"
    if on and mode.startswith("verify-"):
        return ok(f"on, the server's certificate is checked (sslmode={mode})")
    if near:
        return ok(f"{'on' if on else 'off'}; the connection does not leave this machine")
    if on:
        return warning(f"on, but sslmode={mode} believes any certificate", f"To be sure of the server, {verifies}.")
    return warning("off: rows and the password's proof travel in the clear", f"Switch it on, then {verifies}.")


async def replication(subject: Subject) -> Finding:
    """Logical replication passes no pooler, and needs a walsender and the right to have one."""
    between = await examining.through_proxy(subject.watched)
    if isinstance(subject.identity, CdcError):
        if between:
            return failed("there is a connection pooler between: replication cannot pass", subject.host.direct)
        return failed(subject.identity.message, subject.identity.hint)
    return ok(f"possible{', through a proxy' if between else ''}")


async def version(subject: Subject) -> Finding:
    """Postgres 14 to 18."""
    major = subject.facts.version // 10000
    if subject.facts.version < OLDEST:
        return failed(f"Postgres {major}; 14 is the oldest that works", "Upgrade the server.")
    if major > _NEWEST_TESTED:
        return warning(f"Postgres {major} is newer than any this version was tested with", "Try it apart first.")
    return ok(f"Postgres {major}.{subject.facts.version % 10000}")


async def primary(subject: Subject) -> Finding:
    """A standby cannot hold our tables."""
    if subject.facts.in_recovery:
        return failed("this is a standby", "Connect to the primary.")
    return ok("yes")


async def encoding(subject: Subject) -> Finding:
    """Events are JSON, which is UTF-8."""
    if subject.facts.encoding != "UTF8":
        return failed(subject.facts.encoding, "Use a database with ENCODING 'UTF8'.")
    return ok("UTF8")


async def wal_level(subject: Subject) -> Finding:
    """The WAL must hold what logical decoding needs."""
    if subject.facts.wal_level != "logical":
        return failed(subject.facts.wal_level, subject.host.wal_level)
    return ok("logical")


async def role(subject: Subject) -> Finding:
    """What our role may do."""
    facts = subject.facts
    name = identifier(facts.role)
    if not facts.may_replicate:
        statement = subject.host.allow_replication(name)
        return failed(f"{facts.role} may not replicate", f"As an administrator: {statement};")
    if not facts.may_create and not await subject.is_set_up():
        return warning(
            f"{facts.role} may not create schemas in this database",
            f"'cdc run' makes some at its first start. As the owner: GRANT CREATE ON DATABASE ... TO {name};",
        )
    return ok(f"{facts.role} may replicate and create")
