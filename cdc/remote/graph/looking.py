"""What queries begin with. Arguments are those of the schema."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from cdc.remote.graph.telling import Info, Telling, Told
from cdc.remote.routes.answers import uuid_of
from cdc.store.choice import UNFINISHED, Choice


class Looking:
    """The fields of `Query`."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling

    def fields(self) -> Told:
        """By name."""
        return {
            "run": self._run,
            "runTrigger": self._trigger,
            "runTraceSpanOutputByID": self._output,
            "runs": self._runs,
            "event": self._event,
            "events": self._events,
            "functions": self._functions,
            "function": self._function,
            "apps": self._apps,
        }

    async def _run(self, info: Info, **asked: Any) -> Told:
        return await self._telling.run(uuid_of(asked["runID"])) or {}

    def _trigger(self, info: Info, **asked: Any) -> Awaitable[Told]:
        return self._telling.trigger(uuid_of(asked["runID"]))

    def _output(self, info: Info, **asked: Any) -> Awaitable[Told]:
        return self._telling.output(asked["outputID"])

    def _runs(self, info: Info, **asked: Any) -> Awaitable[list[Told]]:
        function_id, status = asked.get("functionID"), asked.get("status")
        statuses = None if status is None else [status.lower()]
        if status == "RUNNING":
            statuses = [each for each in UNFINISHED if each != "queued"]
        return self._telling.runs(Choice(None if function_id is None else [function_id], statuses), asked["first"])

    async def _event(self, info: Info, **asked: Any) -> Told:
        return await self._telling.event(uuid_of(asked["query"]["eventId"])) or {"functionRuns": []}

    def _events(self, info: Info, **asked: Any) -> Awaitable[list[Told]]:
        return self._telling.events(asked.get("name"), asked["first"])

    def _functions(self, info: Info) -> Awaitable[list[Told]]:
        return self._telling.functions()

    async def _function(self, info: Info, **asked: Any) -> Told | None:
        return next(iter(await self._telling.functions(asked["id"])), None)

    def _apps(self, info: Info) -> Awaitable[list[Told]]:
        return self._telling.apps()
