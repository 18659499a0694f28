"""Which database a run is about: the one that its first event came from. Others it may ask for by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cdc.authoring.context import Database, Embeddings
from cdc.authoring.event import Event
from cdc.errors import NonRetriableError


@dataclass(frozen=True, slots=True)
class AtSource:
    """What handlers reach of one watched database. `has_state`: it is also the one that the state is in.

    `is_known`: there is a source of this name.
    """

    db: Database
    embeddings: Embeddings
    has_state: bool = True
    is_known: bool = True


Sources = Callable[[str | None], AtSource]
"""By name; None: a run that is about no row, which has that of DATABASE_URL."""


def source_of(events: Sequence[Event]) -> str | None:
    """The name of the source of a run's first event; None when it is no row's."""
    first = events[0]
    name = first.data.get("source") if first.name.startswith("db/") else None
    return name if isinstance(name, str) else None


def named(sources: Sources) -> Callable[[str], AtSource]:
    """What handlers see as `ctx.source`."""

    def source(name: str) -> AtSource:
        """What is at the source of this name.

        Raises:
            NonRetriableError: there is none.
        """
        at = sources(name)
        if not at.is_known:
            raise NonRetriableError(f"there is no source {name!r}: add it to CDC_SOURCES, then replay the run")
        return at

    return source
