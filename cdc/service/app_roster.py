"""The functions of all apps, as the worker that calls them executes them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from cdc.ai.call import Call as ModelCall
from cdc.authoring.context import Context
from cdc.authoring.function import FlowControl, Function
from cdc.engine.roster import Group, Open
from cdc.remote.call import App, Caller
from cdc.remote.connect.callers import Callers
from cdc.remote.connect.connections import Connections
from cdc.remote.conversation import Conversation
from cdc.remote.driven import Driven
from cdc.remote.gateway import Gateway
from cdc.remote.http import Http
from cdc.remote.recognised import call_of
from cdc.store import apps
from cdc.store import functions as registry
from cdc.store.connect import Connection

NATIVE = "cdc-"
"""SDKs put the name of an app before a function's id; before that of one that is executed here, this."""

_NARROW = 4
"""Runs of an app with room for less than this part of its calls are claimed apart: the others' must not come singly."""


class AppRoster:
    """Implements `cdc.engine.roster.Roster`, and what conversations need besides their runs (`Surroundings`).

    Functions of an app that is away, or has as many calls as it may, are closed; so are those of an app that connects
    by itself, where no worker of it is connected to this process.
    """

    def __init__(self, http: Http, connections: Connections, gateway: Gateway, wake: Callable[[], None]) -> None:
        self.caller: Caller = Callers(http, connections)
        self._connected = connections.connected
        self.functions: Mapping[str, Function] = {}
        self._gateway = gateway
        self._traffic = http.traffic
        self._wake = wake
        self._full: set[str] = set()
        self._version = -1
        self._ids: frozenset[str] = frozenset()
        self._apps: dict[str, App] = {}
        self._flows: dict[str, dict[str, Mapping[str, Any]]] = {}

    # --- what the worker asks ---

    def own(self) -> list[str]:
        """None: they are registered by their apps."""
        return []

    async def register(self, conn: Connection) -> None:
        """They are registered by their apps."""
        await self.refresh(conn)

    async def refresh(self, conn: Connection) -> None:
        """Read apps and functions anew when the registry changed."""
        version = await registry.version(conn)
        if version == self._version:
            return
        _, definitions = await registry.registered(conn)
        served = await apps.served(conn)
        self._version = version
        for app in served:
            if app.name in self._apps and self._apps[app.name].url != app.url:
                self._traffic.moved(app.name)
        self._apps = {app.name: App(app.name, app.url, app.sdk) for app in served}
        self._ids = frozenset(definition["id"] for definition in definitions)
        functions: dict[str, Function] = {}
        flows: dict[str, dict[str, Mapping[str, Any]]] = {}
        for definition in definitions:
            name = definition.get("app")
            if name in self._apps:
                functions[definition["id"]] = self._function(definition, self._apps[name])
                flows.setdefault(name, {})[definition["id"]] = definition["flow"]
        self.functions, self._flows = functions, flows

    def open(self) -> Open:
        """Functions of the apps that have room for more calls."""
        here = (name for name in self._flows if self._apps[name].url is not None or self._connected(name))
        rooms = {name: room for name in here if (room := self._traffic.room(name)) > 0}
        self._full = self._flows.keys() - rooms.keys()
        wide = [name for name, room in rooms.items() if room >= self._traffic.limit // _NARROW]
        groups = [Group(self._flows[name], room) for name, room in rooms.items() if name not in wide]
        if wide:
            flows = {id_: flow for name in wide for id_, flow in self._flows[name].items()}
            groups.append(Group(flows, min(rooms[name] for name in wide)))
        return Open.of(groups)

    def opens_in(self) -> float | None:
        """Until an app that is away is tried again."""
        return self._traffic.reopens_in()

    # --- what conversations ask ---

    async def infer(self, opts: Mapping[str, Any]) -> tuple[Any, ModelCall]:
        """Ask a model as an SDK describes it."""
        inferred = await self._gateway.infer(opts)
        return inferred.data, inferred.call

    async def fetch(self, opts: Mapping[str, Any]) -> Any:
        """Make a request as an SDK describes it."""
        return await self._gateway.fetch(opts)

    def call_in(self, result: Any) -> ModelCall | None:
        """The call of a model that a result tells of."""
        return call_of(result)

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def resolved(self, function_id: str) -> str:
        """The function that goes by this id."""
        native = function_id.removeprefix(NATIVE)
        return native if function_id not in self._ids and native in self._ids else function_id

    def patience(self, app: App) -> float:
        """Seconds to wait before an app is called again that did not get a call."""
        return max(1.0, self._traffic.opens_in(app.name)) * random.uniform(1.0, 1.5)  # noqa: S311 - only to spread them

    def left(self, app: App) -> None:
        """A run of an app that had no room left: others may be claimed."""
        if app.name in self._full and self._traffic.room(app.name) > 0:
            self._full.discard(app.name)
            self._wake()

    def _function(self, definition: Mapping[str, Any], app: App) -> Function:
        id_, retries = definition["id"], definition["retries"]
        handler = _Handler(self, app, id_, retries)
        return Function(id_, (), handler, definition["name"], retries, cast("FlowControl", definition["flow"]))


class _Handler:
    """What is called in place of a function of an app; there is another one as soon as the app has changed."""

    def __init__(self, roster: AppRoster, app: App, function_id: str, retries: int) -> None:
        self._roster = roster
        self._app = app
        self._function_id = function_id
        self._retries = retries

    async def __call__(self, context: Context) -> Any:
        """Take the run as far as it goes; see `Conversation.run`."""
        steps = cast("Driven", context.step)
        try:
            return await Conversation(self._app, self._function_id, self._retries, context, steps, self._roster).run()
        finally:
            self._roster.left(self._app)
