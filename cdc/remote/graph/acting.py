"""What mutations begin with. Arguments are those of the schema."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLError

from cdc.events.hands import Hands
from cdc.remote.graph.telling import Info, Telling, Told
from cdc.remote.routes.acting import REASON
from cdc.remote.routes.answers import uuid_of
from cdc.store.json import encoded, loads

_NO_RUN = "There is no such run."


class Acting:
    """The fields of `Mutation`. `acted`: something may be due."""

    def __init__(self, hands: Hands, telling: Telling) -> None:
        self._hands = hands
        self._telling = telling
        self.acted = False

    def fields(self) -> Told:
        """By name."""
        return {"cancelRun": self._cancel, "rerun": self._rerun, "invokeFunction": self._invoke}

    async def _cancel(self, info: Info, **asked: Any) -> Told:
        """One that has ended is as it is."""
        run_id = uuid_of(asked["runID"])
        if run_id is None or await self._telling.run(run_id) is None:
            raise GraphQLError(_NO_RUN)
        self.acted = True
        await self._hands.cancel([run_id], REASON)
        return await self._telling.run(run_id) or {}

    async def _rerun(self, info: Info, **asked: Any) -> str:
        run_id = uuid_of(asked["runID"])
        if run_id is None or await self._telling.run(run_id) is None:
            raise GraphQLError(_NO_RUN)
        self.acted = True
        repeated = await self._hands.replay([run_id])
        if run_id in repeated.skipped:
            raise GraphQLError(f"The run cannot be replayed: {repeated.skipped[run_id]}.")
        return repeated.runs[run_id]

    async def _invoke(self, info: Info, **asked: Any) -> str:
        given = _object(asked.get("data"))
        self.acted = True
        event_id = await self._hands.invoke(asked["functionSlug"], encoded(given))
        if event_id is None:
            raise GraphQLError("There is no such function.")
        return event_id


def _object(text: str | None) -> dict[str, Any]:
    try:
        given = loads(text) if text else {}
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise GraphQLError("data is not an object, as JSON.")
    return given
