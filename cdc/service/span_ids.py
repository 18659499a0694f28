"""Gives the SDK's spans the ids that were worked out for them; to all others, random ones."""

from __future__ import annotations

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from cdc import tracing


class GivenIds(RandomIdGenerator):
    """See `cdc.tracing.given`."""

    def generate_span_id(self) -> int:
        """The given one, else a random one."""
        given = tracing.given.get()
        return super().generate_span_id() if given is None else given.span_id

    def generate_trace_id(self) -> int:
        """The given one, else a random one."""
        given = tracing.given.get()
        return super().generate_trace_id() if given is None else given.trace_id
