"""A worker process: executes user code, apart from the listener.

It is told to wake by bytes on stdin and reports by JSON lines on what was its stdout; end of stdin means that the
parent is gone. What user code prints goes to stderr with the logs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

from cdc import discovery
from cdc.authoring.function import Function
from cdc.config import Settings
from cdc.engine.roster import Fixed
from cdc.engine.worker import Worker
from cdc.errors import CdcError
from cdc.service import tracing
from cdc.service.databases import Databases
from cdc.service.ledger import Ledger
from cdc.service.lives import ending, live, tell_others
from cdc.service.models import embedder, models_of
from cdc.service.named import configured, with_sources
from cdc.service.process import prepare
from cdc.service.reaching import Reaching
from cdc.service.reports import Reports
from cdc.service.stopping import Stopping
from cdc.service.tallying import tell, tell_forever

log = structlog.get_logger(__name__)


async def run(settings: Settings, *, check: bool = False, pooled: bool = False) -> int:
    """Work until told to stop; returns the exit code. With `check`, only load the functions and report.

    `pooled`: there is a transaction pooler before the state database.
    """
    reports = Reports()
    try:
        functions = discovery.discover(discovery.search_path(settings.functions))
        if check:
            reports.send(loaded=len(functions))
        else:
            # After the functions are loaded: an SDK that one of them sets up is left alone.
            traces = tracing.start()
            try:
                await _work(settings, functions, reports, pooled=pooled)
            finally:
                if traces:
                    await traces.close()
    except CdcError as error:
        reports.send(error={"kind": type(error).__name__, "message": error.message, "hint": error.hint})
        return ending(error.exit_code)
    return ending(0)


async def _work(settings: Settings, functions: Mapping[str, Function], reports: Reports, *, pooled: bool) -> None:
    databases = Databases.of(settings, settings.watched_url)
    if pooled:
        databases = databases.through_pooler()
    prepare()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(settings.threads, thread_name_prefix="step"))
    ledger = Ledger(databases.to_state)
    embeds, models = embedder(settings, on_call=ledger), models_of(settings)
    reaching = Reaching(
        configured(settings, settings.watched_url),
        state=databases.state,
        models=embeds,
        sleeps=settings.listen is not None,
    )

    def change(sources: str) -> None:
        reaching.change(configured(with_sources(settings, sources), settings.watched_url))

    stopping = Stopping(change)

    def worker() -> Worker:
        return Worker(
            Fixed(functions),
            url=databases.state,
            connect=lambda: databases.to_state(silent_for=settings.lease),
            sources=reaching,
            capacity=settings.concurrency,
            lease=settings.lease,
            models=models,
            inferences=settings.inferences,
            keeps_content=settings.ai_content == "keep",
            held=not stopping.woken,
            on_runs=reports.due,
        )

    telling = asyncio.create_task(tell_forever(reports.tell))
    try:
        await live(worker, stopping, reports, settings.shutdown_timeout)
        if stopping.orphaned:
            await tell_others(databases)
    finally:
        await reaching.close()
        await embeds.close()
        await ledger.close()
        await models.close()
        telling.cancel()
        tell(reports.tell)
