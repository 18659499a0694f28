"""`cdc doctor`: everything that the service rests on, looked at once and changed nowhere.

One check is one small function that takes the subject and gives a finding; what it cannot find out because an error
comes in its way is a finding, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from cdc import discovery
from cdc.config import Settings
from cdc.errors import CdcError
from cdc.service.doctor import apps, embedding, forwarding, places, publication, schemas, server, slot, vectors
from cdc.service.doctor.finding import Finding, failed, ok
from cdc.service.doctor.subject import Subject, connected
from cdc.service.named import Named
from cdc.service.refusals import explained
from cdc.store.failures import StatementFailed

Check = Callable[[Subject], Awaitable[Finding]]

_OF_THE_SERVER: dict[str, Check] = {
    "database": server.reachable,
    "TLS": server.tls,
    "replication": server.replication,
    "version": server.version,
    "primary": server.primary,
    "encoding": server.encoding,
    "wal_level": server.wal_level,
    "role": server.role,
}

_OF_THE_SERVICE: dict[str, Check] = {
    "replication slots": places.slots,
    "walsenders": places.senders,
    "max_slot_wal_keep_size": places.kept_wal,
    "wal_sender_timeout": places.silence,
    "idle_replication_slot_timeout": places.idle_slots,
    "schema cdc": schemas.of_source,
    "state": schemas.database_of_state,
    "schema cdc_state": schemas.of_state,
    "publication": publication.publication,
    "tables": publication.tables,
    "left out": publication.left_out,
    "replica identity": publication.identities,
    "slot": slot.slot,
    "lag": slot.lag,
    "checkpoint": slot.checkpoint,
    "pgvector": embedding.pgvector,
    "embedding model": embedding.models,
    "vector indexes": vectors.indexed,
    "retired embeddings": vectors.retired,
    "refused texts": vectors.refusals,
    "apps": apps.synced,
    "forwarding": forwarding.sent_on,
}
"""What makes sense on a primary only."""

CHECKS = ("functions", *_OF_THE_SERVER, *_OF_THE_SERVICE)
"""Their names, in order."""


async def examine(settings: Settings, named: Named) -> dict[str, Finding]:
    """All findings of one source by what was looked at, in the order that they are best mended in."""
    definitions, first = _functions(settings)
    findings = {"functions": first}
    try:
        async with connected(settings, named, definitions) as subject:
            checks = _OF_THE_SERVER if subject.facts.in_recovery else _OF_THE_SERVER | _OF_THE_SERVICE
            for name, check in checks.items():
                findings[name] = await _found(check, subject)
    except CdcError as error:
        findings["database"] = failed(error.message, error.hint)
    return findings


def _functions(settings: Settings) -> tuple[list[dict[str, Any]], Finding]:
    """What is defined in files: it is wanted although nothing of it may be registered yet."""
    try:
        found = discovery.discover(discovery.search_path(settings.functions))
    except CdcError as error:
        return [], failed(error.message, error.hint)
    return [function.definition() for function in found.values()], ok(f"{len(found)} in files")


async def _found(check: Check, subject: Subject) -> Finding:
    try:
        return await check(subject)
    except (CdcError, StatementFailed) as error:
        refusal = error if isinstance(error, CdcError) else explained(error)
        assert refusal is not None, "a failed statement is always explained"
        return failed(refusal.message, refusal.hint)


__all__ = ["CHECKS", "Finding", "examine"]
