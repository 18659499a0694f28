"""What a handler is given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from cdc.authoring.event import Event
from cdc.authoring.hit import Filter, Hit
from cdc.authoring.step import Step

if TYPE_CHECKING:
    import numpy as np
    import structlog
    from numpy.typing import NDArray
    from psycopg import AsyncConnection

T = TypeVar("T")


class Database(Protocol):
    """The watched database."""

    def connection(self) -> AbstractAsyncContextManager[AsyncConnection[tuple[Any, ...]]]:
        """A pooled connection; commits at the end of the block, rolls back on an exception."""
        ...


class Embed(Protocol):
    """Turns texts into vectors."""

    async def __call__(self, model: str, texts: Sequence[str], /) -> Sequence[NDArray[np.float32] | Exception]:
        """One vector per text, in order; a text that the provider refuses has its error instead.

        Calls of all runs in this process are gathered into as few requests as the provider's limits allow.
        """
        ...


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a number of rows: each is in one of the four."""

    embedded: int = 0
    unchanged: int = 0
    cleared: int = 0
    refused: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.embedded + other.embedded,
            self.unchanged + other.unchanged,
            self.cleared + other.cleared,
            self.refused + other.refused,
        )


class EmbeddingTarget(Protocol):
    """Where the vectors of one `cdc.embed()` go; its text form names it for ever."""

    async def follow(self, db: Database, embed: Embed, changes: Sequence[Event], /) -> Counts:
        """Make the vectors of the changed rows those of their present texts.

        The events only say which rows to look at, so they may come late, twice and in any order.

        Raises:
            RetryAfter: the target is not ready, or rows are changed faster than they are embedded.
        """
        ...


class Embeddings(Protocol):
    """The embeddings declared on the watched database, and the models they are pinned to."""

    async def targets(self, table: tuple[str, str], /) -> Sequence[EmbeddingTarget]:
        """The declared targets of one (schema, table), without those that have a problem."""
        ...

    async def embed(
        self, model: str, texts: Sequence[str], /, *, query: bool = False
    ) -> Sequence[NDArray[np.float32] | Exception]:
        """See `Embed`. `query`: the texts are words to search with, for which some models have other vectors."""
        ...

    async def model(self, table: str, /, target: str | None = None) -> str:
        """Name of the model that the vectors of a table are of, for queries of one's own.

        Raises:
            ConfigurationError: the table has no such target, several, or one that is not ready.
        """
        ...

    async def search(
        self,
        table: str,
        words: str,
        /,
        limit: int = 5,
        *,
        filter: Filter | None = None,
        hybrid: bool = False,
        language: str = "simple",
        target: str | None = None,
        columns: Sequence[str] | None = None,
        every_chunk: bool = False,
    ) -> list[Hit]:
        """The rows of `table` or `schema.table` nearest in meaning to some words, the best first.

        Of a table whose texts are kept in chunks, the best chunk of each row, or with `every_chunk` all that are near.
        `filter`: only rows with these values in columns of the table. `hybrid`: those, too, that have the words, read
        in `language`, a text search configuration. `columns` of the row are given back, by default those embedded.

        Raises:
            ConfigurationError: the table has no such target, several, or one that is not ready; or a column, a value
                of the filter, or the language cannot be used.
            InputRefused, ProviderUnavailable, ProviderRejected: the words could not be embedded.
        """
        ...


class Source(Protocol):
    """A watched database, and what is declared on it."""

    @property
    def db(self) -> Database:
        """See `Context`."""
        ...

    @property
    def embeddings(self) -> Embeddings:
        """See `Context`."""
        ...


class Group:
    """Steps that run side by side."""

    async def parallel(self, calls: Iterable[Callable[[], Awaitable[T]]], /) -> tuple[T, ...]:
        """Call all and wait for their results, in order: `await ctx.group.parallel((lambda: step.run(...), ...))`.

        The first error is raised, once all have ended.
        """
        results = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return tuple(result for result in results if not isinstance(result, BaseException))


@dataclass(frozen=True, slots=True)
class Context:
    """One run as its handler sees it.

    `attempt` counts from 1 and concerns the handler itself; each step has attempts of its own. What `logger` is told
    goes to the service's log and is kept with the run, each line once however often the handler is replayed; a new
    attempt of the handler tells its lines again. `db` and `embeddings` are those of the database that the run's first
    event came from; `source(name)` has those of any other that is watched.
    """

    run_id: str
    attempt: int
    events: Sequence[Event]
    step: Step
    db: Database
    embeddings: Embeddings
    source: Callable[[str], Source]
    logger: structlog.typing.FilteringBoundLogger
    group: Group = field(default_factory=Group)

    @property
    def event(self) -> Event:
        """The event that started the run; of a batch, the first."""
        return self.events[0]
