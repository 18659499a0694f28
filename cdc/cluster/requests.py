"""What one call of the cluster says beside what the SDK tells of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import inngest
from inngest import Function, StepMemos
from starlette.requests import Request

from cdc.authoring.event import Event

_current: ContextVar[Called] = ContextVar("called")


@dataclass(frozen=True, slots=True)
class Called:
    """One call. `order`: hashed ids of the steps that have ended; `attempt` counts from 1.

    The SDK's events have neither `user` nor `v`; they are read from the request, unless it was too large for them.
    """

    events: Sequence[Event]
    order: Sequence[str]
    steps: Mapping[str, Any]
    attempt: int
    is_last: bool
    memos: int = 0

    def event(self, hashed: str, found: inngest.Event) -> Event:
        """The event that a step waited for."""
        sent = self.steps.get(hashed)
        return event_of(sent if isinstance(sent, Mapping) and sent.get("name") == found.name else found.model_dump())


class Reading(inngest.Middleware):
    """Puts what it reads of a request where the handler finds it."""

    async def transform_input(
        self, ctx: inngest.Context | inngest.ContextSync, function: Function[Any], steps: StepMemos
    ) -> None:
        """See `inngest.Middleware`."""
        body = await self.raw_request.json() if isinstance(self.raw_request, Request) else {}
        call = body.get("ctx") or {}
        most = call.get("max_attempts")
        sent = body.get("events") or [event.model_dump() for event in ctx.events]
        _current.set(
            Called(
                events=[event_of(each) for each in sent],
                order=(call.get("stack") or {}).get("stack") or (),
                steps=body.get("steps") or {},
                attempt=ctx.attempt + 1,
                is_last=most is not None and ctx.attempt + 1 >= most,
                memos=steps.size,
            )
        )


def current() -> Called:
    """The call that is being answered."""
    return _current.get()


def event_of(sent: Mapping[str, Any]) -> Event:
    """An event as a cluster sends it."""
    return Event(
        name=sent["name"],
        data=sent.get("data") or {},
        id=sent.get("id") or "",
        ts=sent.get("ts") or 0,
        user=sent.get("user") or {},
        v=sent.get("v"),
    )
