"""What a change sets in motion is one trace, and each line of the log says where in it it was told."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.conftest import Write
from tests.acceptance.service import Service, Settings, running
from tests.acceptance.state import USERS, completed
from tests.ai_server import AIServer
from tests.collector import Collector, Span
from tests.servers import Connect
from tests.waiting import eventually

FUNCTIONS = """
    import logging, os, signal, time
    from pathlib import Path

    import structlog
    from opentelemetry import trace

    from cdc import Context, Event, RetryAfter, function

    HERE = Path(os.environ["HERE"])
    log = structlog.get_logger()

    async def whole():
        with trace.get_tracer("of the author").start_as_current_span("my query"):
            log.warning("from a step")

    def blocking():
        logging.getLogger("of the author").warning("from a thread")
        while not (HERE / "seen").exists():
            time.sleep(0.01)
        if not (HERE / "killed").exists():
            (HERE / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    async def flaky():
        if not (HERE / "tried").exists():
            (HERE / "tried").touch()
            raise RetryAfter("secret row data", 0.01)

    @function("first", on="db/users.inserted")
    async def first(ctx: Context) -> None:
        log.warning("from the handler")
        await ctx.step.run("whole", whole)
        await ctx.step.run("mortal", blocking)
        await ctx.step.run("flaky", flaky)
        await ctx.step.sleep("nap", 0.02)
        await ctx.step.ai.infer("ask", model="openai/gpt-4o", prompt="two words")
        await ctx.step.send_event("tell", Event("app/told", {"name": "secret row data"}))

    @function("second", on="app/told")
    async def second(ctx: Context) -> None:
        await ctx.step.run("more", whole)
"""


async def test_a_change_and_all_that_comes_of_it_is_one_trace_even_though_its_worker_is_killed(
    connect: Connect, database_url: str, write: Write, functions: Path, tmp_path: Path
) -> None:
    write("traced.py", FUNCTIONS)
    conn = await connect(database_url)
    await conn.execute(USERS)
    async with AIServer() as models:
        with Collector() as collector:
            settings: Settings = {
                "DATABASE_URL": database_url,
                "CDC_FUNCTIONS": functions,
                "HERE": tmp_path,
                "OPENAI_API_KEY": "sk-test",
                "OPENAI_BASE_URL": models.url,
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                "OTEL_BSP_SCHEDULE_DELAY": "20",
                "OTEL_EXPORTER_OTLP_TIMEOUT": "60",  # one that is sent again would come twice
            }
            async with running(**settings) as service:
                await conn.execute("insert into users (name) values ('secret row data')")
                await eventually(lambda: collector.named("step whole"), within=60)
                (tmp_path / "seen").touch()
                await completed(conn, 2, within=60)
                # Each process exports its own, in their order: the service told of the change, workers of the runs.
                await eventually(
                    lambda: all(map(collector.named, ("publish db/users.inserted", "run first", "run second"))),
                    within=60,
                )
                _say_where(service, collector)

    spans = collector.spans
    tree = _tree(spans)
    assert tree == {
        "publish db/users.inserted": "",
        "run first": "publish db/users.inserted",
        "step whole": "run first",
        "my query": {"step whole", "step more"},
        "step mortal": "run first",
        "step flaky": "run first",
        "sleep nap": "run first",
        "infer ask": "run first",
        "chat gpt-4o": "infer ask",
        "send tell": "run first",
        "publish app/told": "send tell",
        "run second": "publish app/told",
        "step more": "run second",
    }
    assert len({span.id for span in spans}) == len(spans)
    _nest(spans)
    assert "secret" not in repr(spans)
    (change,), (run,) = collector.named("publish db/users.inserted"), collector.named("run first")
    assert change.kind == "producer"
    assert change.attributes["db.collection.name"] == "users"
    assert change.attributes["cdc.source"] == "default"
    assert "/" in change.attributes["cdc.lsn"]
    assert change.attributes["messaging.message.id"] == run.attributes["messaging.message.id"]
    assert run.kind == "consumer"
    assert (run.attributes["cdc.function"], run.attributes["cdc.run.status"]) == ("first", "completed")
    failed, again = collector.named("step flaky")
    assert (failed.attributes["cdc.step.attempt"], failed.attributes["error.type"]) == (1, "RetryAfter")
    assert failed.is_error
    assert (again.attributes["cdc.step.attempt"], again.is_error) == (2, False)
    assert {span.resource["service.name"] for span in spans} == {"cdc"}


def _say_where(service: Service, collector: Collector) -> None:
    """What is logged while a handler or a step runs says which, and where its span is."""
    (change,), (run,) = collector.named("publish db/users.inserted"), collector.named("run first")
    handler = {
        "function": "first",
        "run": run.attributes["cdc.run.id"],
        "event_id": change.attributes["messaging.message.id"],
        "trace_id": run.trace_id,
    }
    assert service.logged("from the handler", **handler, attempt=1, span_id=run.id)
    (own,) = [span for span in collector.named("my query") if span.parent == collector.named("step whole")[0].id]
    assert service.logged("from a step", **handler, step="whole", attempt=1, span_id=own.id)
    (mortal,) = collector.named("step mortal")
    in_thread = service.logged("from a thread", **handler, step="mortal", attempt=1, span_id=mortal.id)
    assert len(in_thread) == 2, "the step was taken twice"
    assert {"source", "lsn"} <= service.logged("listening")[0].keys()


def _tree(spans: list[Span]) -> dict[str, str | set[str]]:
    """The names of the spans and of their parents. All are of one trace."""
    assert len({span.trace_id for span in spans}) == 1
    names = {span.id: span.name for span in spans} | {"": ""}
    tree: dict[str, set[str]] = {}
    for span in spans:
        tree.setdefault(span.name, set()).add(names[span.parent])
    return {name: parents if len(parents) > 1 else parents.pop() for name, parents in tree.items()}


def _nest(spans: list[Span]) -> None:
    """No span begins before its parent does. (It may end later: nobody waits for what an event starts.)"""
    by_id = {span.id: span for span in spans}
    for span in spans:
        assert span.began <= span.ended
        if span.parent:
            assert by_id[span.parent].began <= span.began, (span, by_id[span.parent])
