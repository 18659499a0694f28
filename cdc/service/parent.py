"""The service: builds every part, starts in order, stops in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial

import structlog
from starlette.routing import BaseRoute

from cdc import discovery
from cdc.authoring.context import Embeddings
from cdc.config import Settings
from cdc.embedding import declare
from cdc.errors import CdcError, ConfigurationError
from cdc.maintenance import upkeep
from cdc.maintenance.loop import Loop
from cdc.remote import routes as remote
from cdc.remote.endpoints.beginning import LEASE, Endpoints
from cdc.remote.realtime import grants
from cdc.remote.registering import To
from cdc.remote.routes import connect, endpoints, realtime
from cdc.remote.routes.realtime import Realtime
from cdc.service import children, published, serving, tracing
from cdc.service.absences import Absences
from cdc.service.apps import Apps
from cdc.service.calling import Calling
from cdc.service.children import Children
from cdc.service.connecting import Connecting
from cdc.service.databases import Databases
from cdc.service.embedded import Embedded
from cdc.service.forwarding import Forwarding
from cdc.service.ledger import Ledger
from cdc.service.models import embedder
from cdc.service.named import Named, configured, file_of, inline, with_sources
from cdc.service.parts import Parts
from cdc.service.process import prepare
from cdc.service.reaching import Reaching
from cdc.service.relaying import Relay
from cdc.service.reloading import reload_forever
from cdc.service.replication import Replication
from cdc.service.roles import ALL, Role
from cdc.service.sampling import Sampling
from cdc.service.source import Hooks, Shared
from cdc.service.source_file import follow_forever
from cdc.service.sources import Sources
from cdc.service.tallying import Tallying
from cdc.service.wakeups import POLL, Wakeups
from cdc.service.worker_process import Child
from cdc.store import workers
from cdc.store.connect import Connection, pool
from cdc.store.failures import ConnectionTrouble
from cdc.web.app import app
from cdc.web.server import Web
from cdc.web.site import Site

log = structlog.get_logger(__name__)

_WATCH_EVERY = 10.0
_APPS_EVERY = 60.0
"""Seconds until a service learns of the first app, when that told another one of itself."""

_STUCK = 30.0
"""Seconds after which a worker that has not let go of a cancelled run is taken for stuck."""


async def run(
    settings: Settings,
    url: str | None,
    *,
    only: frozenset[Role] = ALL,
    reload: bool = False,
    started: Callable[[str], None] = lambda address: None,
) -> None:
    """Run the service until cancelled, with `url` as its default source if there is one.

    `started` gets the API's address once it is ready.

    Raises:
        CdcError: it cannot start, or cannot go on.
    """
    prepare()
    discovery.search_path(settings.functions)
    _check(settings, url)
    serving.check(settings, to_read="web" in only)
    databases = Databases.of(settings, url, watches=only != {"web"})
    # Only the API: what is watched does not matter, and may not even be given.
    named = configured(settings if only != {"web"} else with_sources(settings, ""), url)
    async with AsyncExitStack() as stack:
        if traces := tracing.start():
            stack.push_async_callback(traces.close)
        service = _Service(settings, databases, named, only, stack, started)
        await service.start()
        if reload:
            service.reload()
        await service.parts.until_one_ends()


class _Service:
    """The parts, and what each tells the others. They end with the stack, the last one first."""

    def __init__(
        self,
        settings: Settings,
        databases: Databases,
        named: Sequence[Named],
        roles: frozenset[Role],
        stack: AsyncExitStack,
        started: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._databases = databases
        self._named = named
        self._roles = roles
        self._stack = stack
        self._started = started
        self._tallying = Tallying(databases.through_pooler().to_state)
        stack.push_async_callback(self._tallying.close)
        ledger = Ledger(databases.through_pooler().to_state)
        stack.push_async_callback(ledger.close)
        self._models = embedder(settings, on_call=ledger)
        stack.push_async_callback(self._models.close)
        # As if through a pooler: it is what finds out.
        self._wakeups = Wakeups(databases.through_pooler().to_state, self._wake)
        self._children = Children(0, self._child, grace=0.0, hooks=self._of_children(lambda: self._calling.wake()))
        self._connecting = Connecting(settings)
        self._calling = Calling(
            databases.through_pooler().to_state,
            self._app_child,
            grace=settings.shutdown_timeout,
            hooks=self._of_children(lambda: self._children.wake()),
        )
        self._searched = Reaching(named, state=databases.state, models=self._models, sleeps=settings.listen is not None)
        stack.push_async_callback(self._searched.close)
        self._forwarding = Forwarding.of(settings, databases, roles)
        self._embedded = Embedded(databases, lambda: self._named)
        self._confirmed = asyncio.Event()
        self._address = ""
        self._apps: Apps | None = None
        self.parts = Parts(stack)

    async def start(self) -> None:
        """Start what the roles ask for."""
        if self._roles != {"web"} and self._databases.watched:
            await self._databases.prepare_watched(self._settings, listens="listener" in self._roles)
        await self._databases.prepare_state(self._settings)
        await self._start_wakeups()
        self.parts.loop(self._tallying.loop())
        self._sources = self._of_sources()
        if self._roles != {"web"}:
            await self._start_workers()
        if self._sources.home:
            await self._sources.home.declare()
        await self._start_web()
        self._start_sampling()
        await self._forwarding.start(self.parts, self._stack, self._to_confirmed_state)
        if self._roles != {"web"}:
            lease, retention = self._settings.lease, self._settings.retention
            for loop in upkeep.loops(self._to_confirmed_state, lease=lease, retention=retention, on_runs=self._due):
                self.parts.loop(loop)
        self._start_sources()

    def reload(self) -> None:
        """Restart the workers from now on when function files change."""
        folders = discovery.search_path(self._settings.functions)
        self.parts.start("reload", reload_forever(folders, self._children, self._child("--check")))

    # --- building the parts ---

    def _of_sources(self) -> Sources:
        hooks = Hooks(self._attached, on_runs=self._due, on_change=self._changed, on_events=self._forwarding.wake)
        shared = Shared(self._settings, self._databases, self._roles, self._models, Absences(), hooks)
        return Sources(self._named, shared, self._sources_changed)

    def _start_sources(self) -> None:
        self._sources.start()
        self._stack.push_async_callback(self._sources.stop)
        self.parts.start("sources", self._sources.until_one_fails())
        if not self._named:
            self._begin()
        if self._roles != {"web"} and (file := file_of(self._settings)):
            read = partial(configured, self._settings, self._databases.watched or None)
            self.parts.start("file of sources", follow_forever(file, read, self._sources.change))

    def _child(self, *arguments: str) -> Child:
        pooled = ["--pooled"] if self._databases.pooled else []
        return Child(self._of_child, [*arguments, *pooled])

    def _app_child(self) -> Child:
        pooled = ["--pooled"] if self._databases.pooled else []
        return Child(lambda: {**self._of_child(), **self._connecting.environment()}, ["--apps", *pooled])

    def _of_child(self) -> dict[str, str]:
        return {"DATABASE_URL": self._databases.watched, "CDC_SOURCES": inline(self._named)}

    def _of_children(self, wake_others: Callable[[], None]) -> children.Hooks:
        """What was made due by a worker is also for those of the other kind, and of other services."""

        def due() -> None:
            wake_others()
            self._wakeups.due()

        return children.Hooks(on_ready=self._worker_ready, on_due=due, on_death=self._release)

    async def _start_wakeups(self) -> None:
        self._stack.push_async_callback(self._wakeups.close)
        if await self._wakeups.test():
            hear = self._wakeups.hear_forever()
        else:
            log.warning(
                "no notifications from the state database: this service polls",
                seconds=POLL,
                reason="there is a transaction pooler before it",
            )
            self._databases = self._databases.through_pooler()
            hear = self._wakeups.poll_forever()
        self.parts.start("notifier", self._wakeups.tell_forever())
        self.parts.start("wake-ups", hear)

    async def _start_workers(self) -> None:
        count = self._settings.workers if "worker" in self._roles else 0
        grace = self._settings.shutdown_timeout
        hooks = self._of_children(lambda: self._calling.wake())
        self._children = Children(count, self._child, grace=grace, hooks=hooks)
        self._stack.push_async_callback(self._children.stop)
        self.parts.loop(Loop("watch", _WATCH_EVERY, self._replace_stuck))
        await self._children.start()
        if "worker" in self._roles:
            self._stack.push_async_callback(self._calling.stop)
            self.parts.loop(Loop("apps", _APPS_EVERY, self._calling.look))

    async def _start_web(self) -> None:
        connection = None
        if "web" in self._roles:
            state = pool(
                self._databases.state,
                size=6,  # of which two are for events that are sent
                name="web",
                prepared=False,  # pages ask with values that plans made for any would be slow for
                answers_within=self._settings.network_timeout,
            )
            connection = (await self._stack.enter_async_context(state)).connection
        settings = self._settings
        if connection is not None:
            self._apps = Apps(settings, connection, self._apps_changed)
        site = Site(
            self._sources.statuses,
            connection,
            wake=self._due,
            keys=self._settings.event_keys,
            terms=serving.terms(self._settings),
            confirmed=self._confirmed.is_set,
            embeddings=self._embeddings_of,
            embedded=self._embedded,
            totals=lambda: self._tallying.totals,
            replication=Replication(self._databases, self._settings.publication, lambda: self._named, self._of_child),
            apps=self._apps,
        )
        sdk: list[BaseRoute] = []
        if connection is not None and self._apps:
            awake = self._calling.start if "worker" in self._roles else None
            sdk = [*remote.routes(connection, self._due, site.outbox), *self._apps.routes()]
            sdk += connect.routes(self._connecting.desk(awake))
            sdk += realtime.routes(self._realtime(site))
            sdk += endpoints.routes(self._endpoints(connection, site))
        web = Web(app(site, sdk=sdk), settings.port, host=settings.host, proxies=settings.proxies, kind=site.terms.kind)
        self.parts.add(web.start())
        self._stack.push_async_callback(web.stop)
        self._stack.callback(site.stopping.set)
        self._address = web.url
        if self._apps:
            self.parts.start("apps", self._ask_apps(self._apps))

    def _realtime(self, site: Site) -> Realtime:
        relay = Relay(lambda: self._databases.to_state())
        self.parts.start("publisher", relay.tell_forever())
        if not self._databases.pooled:
            self.parts.start("published", relay.hear_forever())
        return Realtime(relay.hub, grants.key_of(self._connecting.secret), site.stopping, site.state)

    def _endpoints(self, connection: To, site: Site) -> Endpoints:
        return Endpoints(
            connection,
            site.outbox,
            serving.grounds(self._settings),
            self._due,
            self._apps_changed,
            lease=min(self._settings.app_timeout, LEASE),
            key=grants.key_of(self._connecting.secret),
        )

    async def _ask_apps(self, apps: Apps) -> None:
        await self._confirmed.wait()
        await apps.forever()

    def _start_sampling(self) -> None:
        sampling = Sampling(
            self._to_confirmed_state,
            self._databases,
            lambda: self._named,
            self._sources.statuses,
            self._embedded,
            follows="listener" in self._roles and self._settings.listen is None,
            beside=self._forwarding.measure,
        )
        self.parts.loop(sampling.loop())

    # --- what the parts tell each other ---

    def _attached(self, source: Named) -> None:
        """The workers begin when it is sure that this is no copy: by the home, or where there is none by any."""
        if source.is_home or self._sources.home is None:
            self._begin()

    def _begin(self) -> None:
        """The runs are this database's: whatever starts them or has them go on may."""
        self._confirmed.set()
        self._children.begin()
        self._calling.begin()

    async def _to_confirmed_state(self) -> Connection:
        """A connection to the state for those that start runs: not before it is known whose they are."""
        await self._confirmed.wait()
        return await self._databases.to_state()

    def _sources_changed(self, named: Sequence[Named]) -> None:
        self._named = named
        self._searched.change(named)
        self._children.change(inline(named))
        self._changed()

    def _embeddings_of(self, source: str | None) -> Embeddings | None:
        """Those of one source, or of the first one, for searches over the API."""
        names = [named.name for named in self._named]
        name = source or next(iter(names), None)
        return self._searched(name).embeddings if name in names else None

    def _wake(self) -> None:
        self._children.wake()
        self._calling.wake()
        if self._apps:
            self._apps.look()

    def _apps_changed(self) -> None:
        """Functions of apps were registered or archived: the worker that calls apps hears of it, or is started; and the
        tables that they name are published.
        """
        self._sources.registered()
        self._due()
        self._calling.look_soon()

    def _due(self) -> None:
        """Runs are due, for any worker of any service."""
        self._wake()
        self._wakeups.due()

    def _worker_ready(self) -> None:
        self._sources.registered()
        self._changed()

    def _changed(self) -> None:
        """Say once that the service is ready."""
        self._sources.statuses.working = self._children.up
        if self._address and self._sources.statuses.ready:
            address, self._address = self._address, ""
            self._started(address)

    async def _release(self, worker_id: int) -> None:
        """A worker process is gone: its runs go to others at once, not when the lease runs out."""
        self._changed()
        try:
            async with await self._databases.to_state() as conn:
                released = await workers.leave(conn, [worker_id], died=True)
        except (*ConnectionTrouble, CdcError) as error:
            log.warning("runs of the dead worker wait for its lease to run out", reason=str(error).strip())
        else:
            log.info("runs released", worker=worker_id, runs=released)
            self._due()

    async def _replace_stuck(self) -> None:
        """A handler may block its worker's event loop for ever; that its run is cancelled, the worker cannot hear."""
        if worker_ids := [*self._children.worker_ids, *self._calling.worker_ids]:
            async with await self._databases.to_state() as conn:
                for worker_id in await workers.stuck(conn, worker_ids, seconds=_STUCK):
                    self._children.kill(worker_id)
                    self._calling.kill(worker_id)


def _check(settings: Settings, url: str | None) -> None:
    """Before anything is connected to.

    Raises:
        ConfigurationError: a setting of embeddings or the publication cannot be read, or there is no database that
            CDC_EMBED is about.
    """
    published.selection(settings)
    if declare.parse(settings.embed) and url is None:
        raise ConfigurationError(
            "CDC_EMBED is about the database of DATABASE_URL, which is not set.",
            hint="Declare embeddings of other sources with cdc embed --source <name>, or in SQL with cdc.embed().",
        )
