"""Keeps targets and publication in line with what is declared and registered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from cdc.config import Settings
from cdc.embedding import declare
from cdc.embedding.declare import Request
from cdc.embedding.gather import Embedder
from cdc.embedding.prepare import prepare
from cdc.errors import CdcError, ConfigurationError
from cdc.events.accept import Door
from cdc.events.match import Table
from cdc.service import published
from cdc.service.absences import Absences
from cdc.service.models import default_model
from cdc.store import publications
from cdc.store.connect import Connection, connect
from cdc.store.embeddings import Declaration
from cdc.web.status import Status

log = structlog.get_logger(__name__)

_ANSWERS_WITHIN = 600.0
"""Seconds; to make a target may wait for the locks of others and then rewrite a table."""


class Following:
    """Called at start, and by the listener whenever declarations or functions changed.

    Raises:
        ConfigurationError: CDC_EMBED, or a setting of the publication, cannot be read.
    """

    def __init__(self, settings: Settings, url: str, models: Embedder, status: Status, absences: Absences) -> None:
        self._settings = settings
        self._requests = declare.parse(settings.embed)
        self._selection = published.selection(settings)
        self._published_before = False
        self._url = url
        self._models = models
        self._status = status
        self._absences = absences
        self._lacks = False
        self._told: dict[str, dict[str, str]] = {"embedding": {}, "table": {}}
        self._turn = asyncio.Lock()
        self._declared: list[tuple[Declaration, bool]] = []

    async def declare(self) -> None:
        """Declare what CDC_EMBED asks for, and make its targets.

        Raises:
            ConfigurationError: a name is wrong, or an embedding cannot be served. What others declared in SQL stops
                nobody; this is what the service itself was told to do.
        """
        if self._requests:
            async with self._our_turn() as conn:
                requests = {await _declared(conn, request): request for request in self._requests}
                for declaration in await self._prepared(conn):
                    request, problem = requests.get(declaration.id), self._problem(declaration)
                    if request and problem:
                        raise ConfigurationError(
                            f"CDC_EMBED asks for {request}, which cannot be served: {problem}",
                            hint="Mend that, or take it out of CDC_EMBED.",
                        )

    async def embedded(self, conn: Connection) -> frozenset[Table]:
        """Make the targets of all declarations; the tables that are embedded. Problems are told, and stop nothing."""
        declarations = await self._prepared(conn)
        problems = {declaration.source: self._problem(declaration) for declaration in declarations}
        self._tell("embedding", {source: problem for source, problem in problems.items() if problem})
        self._declared = [(each, self._problem(each) is None) for each in declarations]
        return frozenset(
            (declaration.table_schema, declaration.table_name)
            for declaration in declarations
            if not declaration.problem
        )

    async def _prepared(self, conn: Connection) -> list[Declaration]:
        return await prepare(
            conn,
            default=lambda: default_model(self._settings),
            dimensions=self._models.dimensions,
            check=lambda layout, facts: published.check_embedding(self._selection, layout, facts),
        )

    def _problem(self, declaration: Declaration) -> str | None:
        """Why a declaration cannot be served: the target, or the model that it is pinned to, which is never replaced
        by another one.
        """
        try:
            self._models.check(declaration.model or default_model(self._settings).name)
        except ConfigurationError as error:
            return declaration.problem or str(error)
        return declaration.problem

    async def follow(self, door: Door) -> None:
        """Bring targets, matching and publication in line; nothing later in the stream is accepted before.

        Raises:
            ConfigurationError, DatabaseRefused: the publication would show what it must not.
        """
        async with self._our_turn() as conn:
            registry = await door.refresh(await self.embedded(conn))
            await self._publish(conn, registry.tables)

    async def retry(self, door: Door) -> None:
        """Try again what could not be followed, and find what fell out of the publication: a table made anew, say."""
        if self._told["embedding"]:
            await self.follow(door)
        else:
            async with self._our_turn() as conn:
                await self._publish(conn, door.registry.tables)

    @property
    def troubled(self) -> bool:
        """Whether something cannot be followed at present."""
        return self._lacks or any(self._told.values())

    @property
    def served(self) -> list[tuple[int, Table]]:
        """The embeddings that are kept, and their tables: without a problem, and published."""
        return [
            (each.id, (each.table_schema, each.table_name)) for each, fit in self._declared if self._keeps(each, fit)
        ]

    @property
    def unserved(self) -> list[int]:
        """The others."""
        return [each.id for each, fit in self._declared if not self._keeps(each, fit)]

    def _keeps(self, declaration: Declaration, fit: bool) -> bool:
        return fit and declaration.source not in self._status.unpublished

    @asynccontextmanager
    async def _our_turn(self) -> AsyncIterator[Connection]:
        """A connection, while no other service makes targets or adds to the publication."""
        async with self._turn, await connect(self._url, autocommit=True, answers_within=_ANSWERS_WITHIN) as conn:
            await publications.take_turns(conn)
            yield conn

    async def _publish(self, conn: Connection, wanted: frozenset[Table]) -> None:
        """At first the settings must be met; later on, what the owner of a table does is told and stops nobody."""
        strict = not self._published_before
        publication = self._settings.publication
        unpublished = await publications.publish(conn, publication, wanted, self._selection, strict=strict)
        self._published_before = True
        self._lacks = bool(unpublished.absent)
        nowhere = self._absences.note(self._status.source, unpublished.absent)
        absent = {".".join(table): "it does not exist yet" for table in nowhere}
        refused = {".".join(table): reason for table, reason in unpublished.refused.items()}
        self._status.unpublished = absent | refused
        self._tell("table", self._status.unpublished)

    def _tell(self, kind: str, problems: dict[str, str]) -> None:
        """Each problem once, and its end."""
        told, self._told[kind] = self._told[kind], problems
        for what, problem in problems.items():
            if told.get(what) != problem:
                log.error("cannot follow", source=self._status.source, **{kind: what}, reason=problem)
        for what in told.keys() - problems.keys():
            log.info("follows again", source=self._status.source, **{kind: what})


async def _declared(conn: Connection, request: Request) -> int:
    """The declaration's id; a refusal says that CDC_EMBED is to blame."""
    try:
        return await declare.declare(conn, request)
    except CdcError as error:
        raise type(error)(f"CDC_EMBED asks for {request}: {error.message}", hint=error.hint) from None
