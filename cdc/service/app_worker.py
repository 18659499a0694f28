"""The worker process that calls apps: it executes no user code, and starts only where there are apps."""

from __future__ import annotations

import asyncio
from typing import cast

from cdc.authoring.context import Database, Embeddings
from cdc.config import Settings
from cdc.engine.sources import AtSource
from cdc.engine.worker import Worker
from cdc.errors import CdcError, ConfigurationError
from cdc.remote.connect.connections import Connections
from cdc.remote.connect.enrolling import enrols
from cdc.remote.gateway import Gateway
from cdc.remote.http import Http
from cdc.remote.registering import Registering
from cdc.service import serving, tracing
from cdc.service.app_roster import AppRoster
from cdc.service.connecting import opened
from cdc.service.databases import Databases
from cdc.service.lives import ending, live, tell_others
from cdc.service.process import allow_connections, prepare
from cdc.service.reports import Reports
from cdc.service.stopping import Stopping
from cdc.service.tallying import tell, tell_forever


async def run(settings: Settings, *, pooled: bool = False) -> int:
    """Work until told to stop; returns the exit code. `pooled`: there is a transaction pooler before the state."""
    reports = Reports()
    try:
        traces = tracing.start()
        try:
            await _work(settings, reports, pooled=pooled)
        finally:
            if traces:
                await traces.close()
    except CdcError as error:
        reports.send(error={"kind": type(error).__name__, "message": error.message, "hint": error.hint})
        return ending(error.exit_code)
    return ending(0)


async def _work(settings: Settings, reports: Reports, *, pooled: bool) -> None:
    databases = Databases.of(settings, settings.watched_url)
    if pooled:
        databases = databases.through_pooler()
    prepare()
    allow_connections()
    stopping = Stopping(lambda sources: None)
    grounds = serving.grounds(settings)
    entries, development = grounds.hosts, grounds.development
    async with (
        Http(
            grounds.keys, entries, development=development, timeout=settings.app_timeout, limit=settings.app_calls
        ) as http,
        Gateway(entries, development=development) as gateway,
    ):
        connections = Connections(http.traffic, timeout=settings.app_timeout, on_change=stopping.rewake)
        roster = AppRoster(http, connections, gateway, stopping.wake)

        def worker() -> Worker:
            return Worker(
                roster,
                url=databases.state,
                connect=lambda: databases.to_state(silent_for=settings.lease),
                sources=_nowhere,
                capacity=settings.app_calls * 4,
                lease=settings.lease,
                keeps_content=settings.ai_content == "keep",
                held=not stopping.woken,
                on_runs=reports.due,
            )

        telling = asyncio.create_task(tell_forever(reports.tell))
        registering = Registering(databases.briefly, grounds, reports.registered)
        try:
            async with opened(settings, connections, enrols(registering)):
                await live(worker, stopping, reports, settings.shutdown_timeout)
            if stopping.orphaned:
                await tell_others(databases)
        finally:
            telling.cancel()
            tell(reports.tell)


class _Nothing:
    """Implements `cdc.Database` and `cdc.Embeddings` for functions that have databases of their own."""

    def __getattr__(self, name: str) -> object:
        raise ConfigurationError(f"A function of an app has no {name} here.", hint="It has what its app gives it.")


def _nowhere(source: str | None) -> AtSource:
    return AtSource(cast("Database", _NOTHING), cast("Embeddings", _NOTHING), has_state=False)


_NOTHING = _Nothing()
