"""What embeddings need: pgvector, and somebody who makes vectors."""

from __future__ import annotations

import asyncio

from cdc.errors import NonRetriableError, RetryAfter
from cdc.service.doctor.finding import Finding, failed, ok, warning
from cdc.service.doctor.subject import Subject
from cdc.service.models import default_model, opened_embedder
from cdc.store import examining

_HALF_VECTORS = (0, 7)
"""The first version of pgvector that indexes vectors beyond 2,000 dimensions."""

_WITHIN = 15.0
"""Seconds for the answer to one word."""


async def pgvector(subject: Subject) -> Finding:
    """It is there if something is embedded."""
    installed, available = await examining.pgvector(subject.watched)
    wanted = bool(subject.settings.embed or await subject.declarations())
    if installed is None and available is None:
        if not wanted:
            return ok("not on this server; needed for embeddings only")
        return failed(
            "not on this server, and embeddings are declared",
            "Install it there (package postgresql-<version>-pgvector), or use a server that has it.",
        )
    if installed is None:
        return ok(f"{available} can be installed, which the first embedding does")
    if tuple(int(part) for part in installed.split(".")[:2]) < _HALF_VECTORS:
        return warning(f"{installed} is old", "Update it: ALTER EXTENSION vector UPDATE;")
    return ok(installed)


async def models(subject: Subject) -> Finding:
    """Each model that is used turns a word into a vector, or has its packages."""
    declared = {declaration.model for declaration in await subject.declarations()}
    if subject.settings.embed:
        declared.add(subject.settings.embed_model)
    if not declared:
        return ok("none is needed: nothing is embedded")
    names = sorted({name or default_model(subject.settings).name for name in declared})
    findings = [await _model(subject, name) for name in names]
    troubled = [finding for finding in findings if finding.state != "ok"]
    return troubled[0] if troubled else ok("; ".join(finding.says for finding in findings))


async def _model(subject: Subject, name: str) -> Finding:
    async with opened_embedder(subject.settings) as embeds:
        try:
            embeds.check(name)
            if name.startswith("local"):
                return ok(f"{name}: its packages are installed")
            async with asyncio.timeout(_WITHIN):
                (answer,) = await embeds.embed(name, ["word"])
        except TimeoutError:
            return failed(
                f"{name}: no answer within {_WITHIN:.0f} seconds", "Check the provider's address and the network."
            )
        except (RetryAfter, NonRetriableError) as error:
            return failed(f"{name}: {error}", "Runs that embed wait and try again until that is mended.")
    if isinstance(answer, Exception):
        return failed(f"{name}: {answer}", "Check the model's name.")
    return ok(f"{name} answers with {len(answer)} dimensions")
