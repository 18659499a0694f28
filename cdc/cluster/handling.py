"""A handler of ours as the SDK calls one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import inngest
import structlog

from cdc.ai.infer import Models
from cdc.authoring.context import Context, Database, Embeddings
from cdc.authoring.event import Event
from cdc.authoring.function import Function
from cdc.cluster import failures, taking
from cdc.cluster.branches import Branches
from cdc.cluster.requests import Called, current
from cdc.cluster.steps import ClusterSteps, inside
from cdc.errors import NonRetriableError
from cdc.store.json import loads
from cdc.store.results import dump


class Source(Protocol):
    """What handlers reach of one watched database."""

    @property
    def db(self) -> Database:
        """See `cdc.Context`."""
        ...

    @property
    def embeddings(self) -> Embeddings:
        """See `cdc.Context`."""
        ...

    @property
    def is_known(self) -> bool:
        """Whether there is a source of this name."""
        ...


@dataclass(frozen=True, slots=True)
class Around:
    """What all handlers have around them: the app's id, its functions, the databases by source, and the models."""

    app: str
    functions: Mapping[str, Function]
    source: Callable[[str | None], Source]
    models: Models


def handler_of(function: Function, around: Around) -> Callable[[inngest.Context], Coroutine[Any, Any, Any]]:
    """A coroutine function that the SDK calls whenever the function's run has got further."""

    async def handle(ctx: inngest.Context) -> Any:
        called = current()
        events = [event for event in called.events if taking.takes(function, event)]
        if not events:
            return None
        branches = Branches(ctx.group, called.order)
        context = _context(around, ctx, called, events, branches)
        try:
            function.check(events)
            returned = await branches.drive(_called(function, context))
            return loads(dump("what the handler returned", returned))
        except Exception as error:  # noqa: BLE001 - an author's code may raise anything
            failures.raised_by_handler(error)

    return handle


async def _called(function: Function, context: Context) -> Any:
    return await function.handler(context)


def _context(
    around: Around, ctx: inngest.Context, called: Called, events: Sequence[Event], branches: Branches
) -> Context:
    at = around.source(_source_of(events))
    steps = ClusterSteps(
        around.app, frozenset(around.functions), ctx.run_id, ctx.step, branches, called, at.db, around.models
    )

    def source(name: str) -> Source:
        """What is at the source of this name.

        Raises:
            NonRetriableError: there is none.
        """
        found = around.source(name)
        if not found.is_known:
            raise NonRetriableError(f"there is no source {name!r}: add it to CDC_SOURCES and start again")
        return found

    return Context(
        run_id=ctx.run_id,
        attempt=called.attempt,
        events=events,
        step=steps,
        db=at.db,
        embeddings=at.embeddings,
        source=source,
        logger=_logger(ctx.run_id, branches, called),
    )


def _source_of(events: Sequence[Event]) -> str | None:
    """The name of the source of a run's first event; None when it is no row's."""
    first = events[0]
    name = first.data.get("source") if first.name.startswith("db/") else None
    return name if isinstance(name, str) else None


def _logger(run_id: str, branches: Branches, called: Called) -> structlog.typing.FilteringBoundLogger:
    """Passes on to the log what is new: not what was told before steps that have ended, nor what a replay tells."""
    log = structlog.get_logger("cdc.run").bind(run=run_id)

    def tell(_: Any, level: str, fields: Any) -> Any:
        if inside.get() or branches.replayed >= called.memos:
            line = dict(fields)
            getattr(log, level)(line.pop("event", ""), **line)
        raise structlog.DropEvent

    bound = structlog.wrap_logger(None, processors=[tell], wrapper_class=structlog.make_filtering_bound_logger(0))
    return cast("structlog.typing.FilteringBoundLogger", bound)
