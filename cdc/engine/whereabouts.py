"""Where in a run the code is that runs just now: its log lines say so, and its spans are there."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from opentelemetry.trace import SpanContext

from cdc import telemetry, tracing
from cdc.authoring.event import Event
from cdc.authoring.function import Function
from cdc.engine.bodies import inside
from cdc.errors import RetryAfter
from cdc.events import traces
from cdc.events.traces import RunTrace
from cdc.store import traces as store
from cdc.store.connect import Connection
from cdc.store.inferences import Inference
from cdc.store.runs import ClaimedRun


class Whereabouts:
    """Of one run that is in memory; `trace` is its own when this process traces."""

    __slots__ = ("_run", "trace")

    def __init__(self, run: ClaimedRun, trace: RunTrace | None) -> None:
        self._run = run
        self.trace = trace

    def enter(self) -> None:
        """The rest of this asyncio task is the handler's."""
        telemetry.about.set(self.told)
        if self.trace is not None:
            tracing.enter(self.trace.span)

    def span(self, key: str, kind: str, attempt: int) -> StepSpan:
        """For the block in which a step's body runs."""
        return NO_SPAN if self.trace is None else TracedStep(self.trace, key, kind, attempt)

    def traceparent(self, key: str) -> str | None:
        """The trace of what this step sends."""
        return None if self.trace is None else tracing.traceparent(self.trace.step(key))

    def ended(self, function: Function, events: Sequence[Event], status: str, error: str | None = None) -> None:
        """Tell of the run, which has ended; `error` is the name of what it failed with."""
        if self.trace is not None:
            run, handler = self._run, function.handler
            name = f"{handler.__module__}.{getattr(handler, '__qualname__', function.id)}"
            attributes: dict[str, str | int] = {
                "code.function.name": name,
                "cdc.run.attempt": run.failures + 1,
                "messaging.message.id": run.event_ids[0],
                "messaging.batch.message_count": len(run.event_ids),
            }
            began = traces.began(run.id, events[0].ts * 1_000_000 if events else 0)
            self.trace.ended(status, began=began, attributes=attributes, error=error)

    def told(self) -> dict[str, object]:
        """What log lines say of it, and of the step whose body tells them."""
        run, step = self._run, inside.get()
        told: dict[str, object] = {"function": run.function_id, "run": run.id, "event_id": run.event_ids[0]}
        if step is None:
            return {**told, "attempt": run.failures + 1}
        return {**told, "step": step.key, "attempt": step.attempt}


class StepSpan:
    """The span of a step whose body runs, where there is none."""

    __slots__ = ()

    def __enter__(self) -> None:
        """The body begins."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """The body has ended."""

    def failed(self, error: BaseException) -> None:
        """This attempt failed."""


NO_SPAN = StepSpan()


class TracedStep(StepSpan):
    """One that there is. It ends with the block; after an error only if the attempt `failed`: one that is broken off
    comes again, and so does one that does not count. Both have the same ids then.
    """

    __slots__ = ("_current", "_span")

    def __init__(self, trace: RunTrace, key: str, kind: str, attempt: int) -> None:
        self._span = tracing.begin(
            f"{'send' if kind == 'send' else 'step'} {key}",
            trace.step(key, attempt),
            trace.span,
            attributes=traces.of_step(key, kind, attempt),
        )
        self._current = tracing.current(self._span)

    def __enter__(self) -> None:
        """What the body does belongs to it."""
        self._current.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """The span ends, too, if all is well."""
        self._current.__exit__(None, None, None)
        if error is None:
            self._span.end()

    def failed(self, error: BaseException) -> None:
        """The span ends with the class of the error, if the attempt counts."""
        if not (isinstance(error, RetryAfter) and not error.counts_as_attempt):
            tracing.failed(self._span, type(error).__name__)
            self._span.end()


async def load(conn: Connection, runs: Sequence[ClaimedRun], loaded: dict[str, Event]) -> dict[str, RunTrace]:
    """The traces of claimed runs with these events; none when this process does not trace."""
    if not tracing.on():
        return {}
    origins = await store.origins(conn, [run.id for run in runs])
    waited = await store.waited(conn, [run.id for run in runs if run.claims > 1])
    found = {}
    for run in runs:
        if (origin := origins.get(run.id)) is not None:
            others = [
                tracing.of_event(UUID(id_).bytes, loaded[id_].traceparent) for id_ in run.event_ids[1:] if id_ in loaded
            ]
            found[run.id] = traces.of_run(run.id, run.function_id, origin, others, waited.get(run.id, ()))
    return found


async def of_inferences(conn: Connection, claimed: Sequence[Inference]) -> dict[tuple[str, str], SpanContext]:
    """The spans of the steps that wait for these calls, by their keys; none when this process does not trace."""
    if not tracing.on() or not claimed:
        return {}
    origins = await store.origins(conn, list({inference.run_id for inference in claimed}))
    return {
        inference.key: traces.of_run(inference.run_id, "", origin).step(inference.step_id)
        for inference in claimed
        if (origin := origins.get(inference.run_id)) is not None
    }


def enter_inference(inference: Inference, span: SpanContext | None) -> None:
    """The rest of this asyncio task is a call of a model, for a step that waits for it."""
    told: dict[str, object] = {"function": inference.function_id, "run": inference.run_id, "step": inference.step_id}
    telemetry.about.set(lambda: {**told, "attempt": inference.calls + 1})
    if span is not None:
        tracing.enter(span)
