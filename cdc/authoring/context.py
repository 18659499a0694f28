"""What a handler is given."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cdc.authoring.event import Event
from cdc.authoring.step import Step

if TYPE_CHECKING:
    import numpy as np
    import structlog
    from numpy.typing import NDArray
    from psycopg import AsyncConnection


class Database(Protocol):
    """The watched database."""

    def connection(self) -> AbstractAsyncContextManager[AsyncConnection[tuple[Any, ...]]]:
        """A pooled connection; commits at the end of the block, rolls back on an exception."""
        ...


class Embeddings(Protocol):
    """The embeddings declared on the watched database, and the models they are pinned to."""

    async def targets(self, table: tuple[str, str]) -> Sequence[Any]:
        """The declared targets of one (schema, table)."""
        ...

    async def embed(self, model: str, texts: Sequence[str]) -> Sequence[NDArray[np.float32] | Exception]:
        """One vector per text, in order; a text that the provider refuses has its error instead.

        Calls of all runs in this process are gathered into as few requests as the provider's limits allow.
        """
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """One run as its handler sees it.

    `attempt` counts from 1 and concerns the handler itself; each step has attempts of its own.
    """

    run_id: str
    attempt: int
    events: Sequence[Event]
    step: Step
    db: Database
    embeddings: Embeddings
    logger: structlog.typing.FilteringBoundLogger

    @property
    def event(self) -> Event:
        """The event that started the run; of a batch, the first."""
        return self.events[0]
