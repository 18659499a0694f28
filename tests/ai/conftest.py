from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping

import pytest
import pytest_asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cdc.ai.access import Access
from cdc.ai.infer import Models
from tests.ai_server import AIServer

KEY = "sk-of-the-test"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[AIServer]:
    async with AIServer() as server:
        yield server


@pytest.fixture
def server(shared: AIServer) -> AIServer:
    shared.reset()
    shared.latency = shared.pause = 0.0
    shared.waits_for = lambda: True
    return shared


def access(server: AIServer) -> Mapping[str, Access]:
    """How every provider is reached, were this server all of them."""
    return {
        "openai": Access(KEY, server.url),
        "anthropic": Access(KEY, server.root),
        "gemini": Access(KEY, server.root),
    }


@pytest_asyncio.fixture
async def models(server: AIServer) -> AsyncIterator[Models]:
    opened = Models(access(server))
    try:
        yield opened
    finally:
        await opened.close()


_EXPORTER = InMemorySpanExporter()


@pytest.fixture(scope="session", autouse=True)
def tracing() -> None:
    """One provider for the process: OpenTelemetry lets it be set once."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_EXPORTER))
    trace.set_tracer_provider(provider)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    _EXPORTER.clear()
    yield _EXPORTER
    _EXPORTER.clear()
