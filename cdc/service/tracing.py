"""Sets traces up from OpenTelemetry's own variables, in every process of the service; without them nothing is loaded.

The spans' ids are given (`cdc.tracing`), all else is the SDK's: sampling, batches, the export, its limits.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

import structlog
from opentelemetry import trace
from opentelemetry.context import Context

from cdc import tracing
from cdc.clock import set_within

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

log = structlog.get_logger(__name__)

LAST = 2.0
"""Seconds for the last spans, when the process ends."""

_QUEUE = 10_000
"""Spans that wait for their export, at most: the changes of one transaction come all at once."""

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"

_TROUBLE = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")
_SELDOM = 60.0


class Tracing:
    """What is exported, until it is closed."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider

    async def close(self, within: float = LAST) -> None:
        """Export what is left, for so many seconds at most: a collector that does not answer loses it."""
        tracing.end()
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def export() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop is closed: it took longer
                loop.call_soon_threadsafe(done.set)

        # A thread that the process does not wait for at its end, as it would for those of asyncio.
        threading.Thread(target=export, name="last spans", daemon=True).start()
        await set_within(done, within)


def start(environ: Mapping[str, str] = os.environ) -> Tracing | None:
    """Trace from now on, if the environment asks for it. What is wrong with that is told, and stops nothing."""
    names = _wanted(environ)
    if not names:
        return None
    problem = _problem(environ, names)
    if problem is None:
        try:
            return Tracing(_set_up(environ, names))
        except Exception as error:  # noqa: BLE001 - a variable that the SDK cannot use
            problem = str(error)
    log.warning("traces are off", reason=problem)
    return None


def _wanted(environ: Mapping[str, str]) -> list[str]:
    """Names of exporters."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    chosen = [name.strip().lower() for name in environ.get("OTEL_TRACES_EXPORTER", "").split(",")]
    chosen = [name for name in chosen if name]
    if not chosen and any(environ.get(name) for name in _ENDPOINTS):
        return ["otlp"]
    return [] if "none" in chosen else chosen


def _problem(environ: Mapping[str, str], names: list[str]) -> str | None:
    if unknown := set(names) - {"otlp", "console"}:
        return f"OTEL_TRACES_EXPORTER knows otlp and console here, not {', '.join(sorted(unknown))}"
    packages = ["opentelemetry.sdk", *(["opentelemetry.exporter.otlp.proto.http"] if "otlp" in names else [])]
    if not all(map(_is_installed, packages)):
        return "the packages for them are missing; install them with pip install 'cdc[otel]'"
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), _SPOKEN)
    if "otlp" in names and protocol.strip().lower() != _SPOKEN:
        return f"{protocol} is not spoken here; set OTEL_EXPORTER_OTLP_PROTOCOL={_SPOKEN} and its port, mostly 4318"
    return None


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # what it is in
        return False


def _set_up(environ: Mapping[str, str], names: list[str]) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import Decision

    from cdc.service.span_ids import GivenIds

    named = "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    own: dict[str, str | int] = {"process.pid": os.getpid()}
    resource = Resource.create(own if named else {**own, "service.name": "cdc"})
    provider = TracerProvider(resource=resource, id_generator=GivenIds(), shutdown_on_exit=False)
    most = None if "OTEL_BSP_MAX_QUEUE_SIZE" in environ else _QUEUE
    for name in names:
        provider.add_span_processor(BatchSpanProcessor(_exporter(name), max_queue_size=most))
    for name in _TROUBLE:
        logging.getLogger(name).addFilter(_Seldom())
    # Spans of calls of models, and of what an author's own code is instrumented with, go the same way; unless the
    # author has set up another way before.
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(provider)
    sampler = provider.sampler

    def samples(trace_id: int) -> bool:
        return sampler.should_sample(Context(), trace_id, "").decision is Decision.RECORD_AND_SAMPLE

    tracing.set_up(provider.get_tracer("cdc"), samples)
    return provider


def _exporter(name: str) -> SpanExporter:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(formatter=lambda span: span.to_json(indent=None) + os.linesep)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


class _Seldom(logging.Filter):
    """Lets one line a minute through: a collector that is away is told of with every batch."""

    def __init__(self) -> None:
        super().__init__()
        self._again = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is time for one."""
        now = time.monotonic()
        if now < self._again:
            return False
        self._again = now + _SELDOM
        return True
