"""Spans whose ids every process works out from what is in the database, so that a trace needs nobody to pass it on.

Off until a process sets it up (cdc/service/tracing.py); nothing is worked out before. What a row says is never here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from hashlib import blake2b
from typing import NamedTuple

from opentelemetry import context, trace
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

Attributes = Mapping[str, str | int]

given: ContextVar[SpanContext | None] = ContextVar("given", default=None)
"""The ids of the span that is being started: for the generator of ids that the SDK is set up with."""


class _SetUp(NamedTuple):
    tracer: trace.Tracer
    samples: Callable[[int], bool]


_set_up: _SetUp | None = None


def set_up(tracer: trace.Tracer, samples: Callable[[int], bool]) -> None:
    """Trace from now on. `samples` tells whether a trace of this id, which begins here, is kept: all must agree."""
    global _set_up
    _set_up = _SetUp(tracer, samples)


def end() -> None:
    """Trace no more."""
    global _set_up
    _set_up = None


def on() -> bool:
    """Whether this process traces."""
    return _set_up is not None


def of_event(event_id: bytes, traceparent: str | None) -> SpanContext:
    """The span of an event: in the trace that it came with, else in one that begins with it."""
    parent = sender(traceparent)
    if parent is None:
        trace_id = int.from_bytes(blake2b(event_id, digest_size=16, person=b"trace").digest())
        kept = _set_up is not None and _set_up.samples(trace_id)
        flags = TraceFlags(TraceFlags.SAMPLED if kept else TraceFlags.DEFAULT)
    else:
        trace_id, flags = parent.trace_id, parent.trace_flags
    return SpanContext(trace_id, _span_id(event_id), is_remote=True, trace_flags=flags)


def sender(traceparent: str | None) -> SpanContext | None:
    """The span that an event came with (W3C Trace Context, version 00)."""
    if not traceparent:
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def traceparent(span: SpanContext) -> str:
    """The same, for what begins within this span."""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def within(parent: SpanContext, *names: object) -> SpanContext:
    """The span of these names in the trace of another; all of them together are its alone."""
    span_id = _span_id("\0".join(map(str, names)).encode())
    return SpanContext(parent.trace_id, span_id, is_remote=True, trace_flags=parent.trace_flags)


def begin(
    name: str,
    own: SpanContext,
    parent: SpanContext | None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes,
    links: Sequence[SpanContext] = (),
    at: int | None = None,
) -> Span:
    """A span with ids of its own, begun now or `at` (nanoseconds since 1970). Who ends it does so once."""
    assert _set_up is not None, "callers ask whether it is on"
    token = given.set(own)
    try:
        return _set_up.tracer.start_span(
            name,
            context.Context() if parent is None else around(parent),
            kind,
            attributes,
            [Link(link) for link in links],
            time.time_ns() if at is None else at,
        )
    finally:
        given.reset(token)


def failed(span: Span, error: str) -> None:
    """It ended with an error of this class; what the error says may be of the data."""
    span.set_attribute("error.type", error)
    span.set_status(Status(StatusCode.ERROR))


def current(span: Span) -> AbstractContextManager[Span]:
    """Whatever begins in this block, in its threads too, belongs to the span; it is not ended here."""
    return trace.use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False)


def around(span: SpanContext) -> context.Context:
    """The context of what happens in a span that some process has, or will have."""
    return trace.set_span_in_context(NonRecordingSpan(span), context.Context())


def enter(span: SpanContext) -> None:
    """For the rest of this asyncio task, what begins belongs to this span, which is told of later."""
    context.attach(around(span))


def _span_id(name: bytes) -> int:
    return int.from_bytes(blake2b(name, digest_size=8, person=b"span").digest())
