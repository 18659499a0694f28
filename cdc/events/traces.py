"""The spans of events and of runs (docs/operations.md, Traces). Names and ids go into them, what events say never."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from opentelemetry.trace import SpanContext, SpanKind

from cdc import lsn, tracing
from cdc.store import traces as store
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.runs import CancelledRun
from cdc.store.traces import Origin, Waited

_MESSAGING = {"messaging.system": "cdc"}
_SENT = {**_MESSAGING, "messaging.operation.type": "send", "messaging.operation.name": "publish"}
_PROCESSED = {**_MESSAGING, "messaging.operation.type": "process", "messaging.operation.name": "run"}


def accepted(events: Iterable[Incoming], source: str | None = None) -> None:
    """Tell of events that were accepted just now, of row changes with their source: from commit to acceptance."""
    if not tracing.on():
        return
    now = time.time_ns()
    for event in events:
        own = tracing.of_event(event.id, event.traceparent)
        if not own.trace_flags.sampled:
            continue
        attributes: dict[str, str | int] = {
            **_SENT,
            "messaging.destination.name": event.name,
            "messaging.message.id": str(UUID(bytes=event.id)),
            "messaging.message.body.size": len(event.data),
            **_of_source(event, source),
        }
        span = tracing.begin(
            f"publish {event.name}",
            own,
            tracing.sender(event.traceparent),
            kind=SpanKind.PRODUCER,
            attributes=attributes,
            at=now if event.is_scheduled else min(now, event.ts * 1000),
        )
        span.end(now)


def _of_source(event: Incoming, source: str | None) -> dict[str, str]:
    if event.position is None or source is None:
        return {}
    origin = {"cdc.source": source, "cdc.lsn": lsn.render(event.position.commit_lsn), "db.system.name": "postgresql"}
    if event.name.startswith("db/"):
        origin["db.collection.name"] = event.name[3:].rpartition(".")[0]
    return origin


@dataclass(frozen=True, slots=True)
class RunTrace:
    """A run in the trace of its first event. Its own span is told of when it has ended, and so are those of its waits:
    then they are known to be told of once.
    """

    run_id: str
    function_id: str
    event: SpanContext
    span: SpanContext
    links: Sequence[SpanContext]
    waited: Sequence[Waited]

    def step(self, key: str, attempt: int = 1) -> SpanContext:
        """The span of a step."""
        return tracing.within(self.span, self.run_id, key, attempt)

    def ended(self, status: str, *, began: int, attributes: Mapping[str, str | int], error: str | None = None) -> None:
        """Tell of the run, which `began` so many nanoseconds after 1970 and has ended now."""
        if not self.span.trace_flags.sampled:
            return
        now = time.time_ns()
        for waited in self.waited:
            self._tell_of_wait(waited, now)
        run = tracing.begin(
            f"run {self.function_id}",
            self.span,
            self.event,
            kind=SpanKind.CONSUMER,
            attributes={
                **_PROCESSED,
                "cdc.function": self.function_id,
                "cdc.run.id": self.run_id,
                "cdc.run.status": status,
                **attributes,
            },
            links=self.links,
            at=min(began, now),
        )
        if error is not None:
            tracing.failed(run, error)
        run.end(now)

    def _tell_of_wait(self, waited: Waited, now: int) -> None:
        span = tracing.begin(
            f"{waited.kind} {waited.step_id}",
            self.step(waited.step_id),
            self.span,
            attributes=of_step(waited.step_id, waited.kind, 1),
            at=waited.began * 1000,
        )
        if waited.error is not None:
            tracing.failed(span, waited.error)
        span.end(now if waited.ended is None else max(waited.began, waited.ended) * 1000)


def of_step(key: str, kind: str, attempt: int) -> dict[str, str | int]:
    """The attributes of a step's span."""
    return {"cdc.step.id": key, "cdc.step.kind": kind, "cdc.step.attempt": attempt}


def of_run(
    run_id: str,
    function_id: str,
    origin: Origin,
    others: Iterable[SpanContext] = (),
    waited: Sequence[Waited] = (),
) -> RunTrace:
    """A run's place in its trace; `others` are the events that it has besides the first."""
    event = tracing.of_event(UUID(origin.event_id).bytes, origin.traceparent)
    links = list(others)
    if origin.replays is not None:
        links.extend(_replayed(origin, origin.replays))
        # From a step on: what came before it was waited for by the other run, and has been told of there.
        made = UUID(run_id).int >> 80
        waited = [each for each in waited if each.began // 1000 >= made]
    return RunTrace(run_id, function_id, event, tracing.within(event, run_id), links, waited)


def _replayed(origin: Origin, run_id: str) -> list[SpanContext]:
    if origin.replayed_event_id is None:
        return []
    event = tracing.of_event(UUID(origin.replayed_event_id).bytes, origin.replayed_traceparent)
    return [tracing.within(event, run_id)]


def began(run_id: str, event_at: int = 0) -> int:
    """When a run began to be due, in nanoseconds since 1970: when it was made, or when its event was, if that has a
    time to come or is the last of a debounce. Its id, a UUID of version 7, has the millisecond; we take its end.
    """
    made = ((UUID(run_id).int >> 80) + 1) * 1_000_000 - 1
    return max(made, event_at) if event_at <= time.time_ns() else made


async def cancelled(conn: Connection, runs: Iterable[CancelledRun]) -> None:
    """Tell of runs that were cancelled just now."""
    if not tracing.on():
        return
    functions = {run.id: run.function_id for run in runs}
    waited = await store.waited(conn, list(functions))
    for run_id, origin in (await store.origins(conn, list(functions))).items():
        trace = of_run(run_id, functions[run_id], origin, waited=waited.get(run_id, ()))
        trace.ended("cancelled", began=began(run_id), attributes={})
