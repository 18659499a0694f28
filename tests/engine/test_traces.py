"""How runs are linked beyond the one event that each begins with, and what becomes of the traces that events bring."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from cdc import Batch, Context, Event, NonRetriableError, function, tracing
from cdc.events.hands import Hands
from cdc.events.repeating import Edits
from cdc.service.span_ids import GivenIds
from cdc.store.events import Incoming
from tests.engine.harness import Engine
from tests.engine.telling import waits_of
from tests.waiting import eventually


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(id_generator=GivenIds())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.set_up(provider.get_tracer("test"), lambda trace_id: True)
    yield exporter
    tracing.end()


async def named(exported: InMemorySpanExporter, name: str, count: int = 1) -> list[ReadableSpan]:
    """The spans of this name, once there are so many: a run's is told of after its end is recorded."""

    def found() -> list[ReadableSpan]:
        spans = [span for span in exported.get_finished_spans() if span.name == name]
        return spans if len(spans) == count else []

    return await eventually(found, what=f"{count} spans {name}")


def ids(span: ReadableSpan) -> tuple[int, int]:
    context: Any = span.context
    return context.trace_id, context.span_id


async def test_a_batch_is_linked_to_its_other_events_and_a_replay_to_its_run(
    live_engine: Engine, exported: InMemorySpanExporter
) -> None:
    @function("together", on="db/users.inserted", batch_events=Batch(max_size=2, timeout="1h"))
    async def together(ctx: Context) -> None:
        pass

    async with live_engine.working(together):
        await live_engine.send("db/users.inserted", {}, {})
        (run,) = await live_engine.ended()
        (first,) = await named(exported, "run together")
        await Hands(live_engine.conn).replay([run["id"]])
        live_engine.wake()
        _, replay = await named(exported, "run together", 2)

    cursor = await live_engine.conn.execute("select event_ids::text[] from cdc_state.runs order by id")
    ((events,), (again,)) = await cursor.fetchall()
    assert again == events
    begins, other = (tracing.of_event(bytes.fromhex(id_.replace("-", "")), None) for id_ in events)
    assert first.parent is not None
    assert (first.parent.trace_id, first.parent.span_id) == (begins.trace_id, begins.span_id)
    assert [(link.context.trace_id, link.context.span_id) for link in first.links] == [(other.trace_id, other.span_id)]
    assert [(link.context.trace_id, link.context.span_id) for link in replay.links][1:] == [ids(first)]
    assert ids(replay)[0] == ids(first)[0]


async def test_a_cancelled_run_is_told_of_with_what_it_waited_for(
    live_engine: Engine, exported: InMemorySpanExporter
) -> None:
    @function("waits", on="db/users.inserted")
    async def waits(ctx: Context) -> None:
        await ctx.step.wait_for_event("for ever", "app/never", "1h")

    async with live_engine.working(waits):
        await live_engine.send("db/users.inserted", {})
        await eventually(lambda: waits_of(live_engine), what="it waits")
        (run,) = await live_engine.runs()
        await Hands(live_engine.conn).cancel([run["id"]], "a test")
        (cancelled,) = await named(exported, "run waits")
        (wait,) = await named(exported, "wait for ever")
    assert cancelled.attributes is not None
    assert cancelled.attributes["cdc.run.status"] == "cancelled"
    assert wait.parent is not None
    assert wait.parent.span_id == ids(cancelled)[1]


async def test_a_replay_from_a_step_with_another_event_tells_nothing_again_and_is_linked_to_its_run(
    live_engine: Engine, exported: InMemorySpanExporter
) -> None:
    async def body() -> None:
        pass

    @function("naps", on="db/users.inserted")
    async def naps(ctx: Context) -> None:
        await ctx.step.sleep("nap", 0.01)
        await ctx.step.run("then", body)

    async with live_engine.working(naps):
        await live_engine.send("db/users.inserted", {})
        (run,) = await live_engine.ended()
        await named(exported, "run naps")
        await Hands(live_engine.conn).replay_from(run["id"], Edits(from_step="then", data={"new": {"id": 2}}))
        live_engine.wake()
        first, replay = await named(exported, "run naps", 2)
    assert len(await named(exported, "step then", 2)) == 2
    assert len(await named(exported, "sleep nap")) == 1
    assert ids(replay)[0] != ids(first)[0]
    (event,) = await named(exported, "publish db/users.inserted")
    assert ids(event)[0] == ids(replay)[0]
    assert [(link.context.trace_id, link.context.span_id) for link in replay.links] == [ids(first)]


@pytest.mark.parametrize("flags", ["01", "00"], ids=["kept", "left out"])
async def test_the_trace_that_an_event_brings_goes_on_and_decides_whether_it_is_kept(
    live_engine: Engine, exported: InMemorySpanExporter, flags: str
) -> None:
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

    async def body() -> None:
        raise NonRetriableError("row data")

    @function("traced", on="app/sent")
    async def traced(ctx: Context) -> None:
        await ctx.step.run("fails", body)

    @function("plain", on="app/plain")
    async def plain(ctx: Context) -> None:
        await ctx.step.send_event("send", Event("app/heard"))

    async with live_engine.working(traced, plain):
        sent = Incoming(b"1" * 16, "app/sent", 0, b"{}", None, traceparent=f"00-{trace_id}-{span_id}-{flags}")
        await Hands(live_engine.conn).take([sent, Incoming(b"2" * 16, "app/plain", 0, b"{}", None)])
        live_engine.wake()
        await live_engine.ended(2)
        await named(exported, "run plain")

    async def of_trace() -> list[ReadableSpan]:
        return [span for span in exported.get_finished_spans() if ids(span)[0] == int(trace_id, 16)]

    if flags == "00":
        assert await of_trace() == []
        return
    (run,) = await named(exported, "run traced")
    (event,) = await named(exported, "publish app/sent")
    (step,) = await named(exported, "step fails")
    assert sorted(map(ids, await of_trace())) == sorted(map(ids, (event, step, run)))
    assert event.parent is not None
    assert event.parent.span_id == int(span_id, 16)
    assert {span.status.status_code for span in (step, run)} == {StatusCode.ERROR}
    assert "row data" not in "".join(span.to_json() for span in (event, step, run))
