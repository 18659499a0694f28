"""A call of an app: what is sent, and who can send it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cdc.remote.answer import Answer

DISCOVERY = "step"
"""The target of a call that looks for the steps to come; else it is the hash of the one step to be taken."""


@dataclass(frozen=True, slots=True)
class App:
    """An app as its calls need it. Without a `url` it is connected by itself."""

    name: str
    url: str | None
    sdk: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function (protocol section 4). Events and memos are as the SDK sees them; `attempt` is 0-based.

    `memos` are by the hash of the step's id, `stack` their hashes in the order in which they ended. `claim` names the
    worker and the claim under which the run is held, for checkpoints (`ctx.qi_id`). `number` counts the run's calls.
    `planned`: steps are only to be planned (`disable_immediate_execution`). `defers` are runs that start when this one
    ends, by the hash of their id.
    """

    run_id: str
    function_id: str
    events: Sequence[Mapping[str, Any]]
    memos: Mapping[str, Any]
    stack: Sequence[str]
    target: str = DISCOVERY
    attempt: int = 0
    max_attempts: int = 5
    planned: bool = False
    version: int = -1
    claim: str = ""
    number: int = 0
    traceparent: str | None = None
    defers: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)


class Caller(Protocol):
    """Calls apps, over HTTP or over the connection that an app keeps."""

    async def call(self, app: App, call: Call) -> Answer:
        """What a call comes to; however it goes wrong is an answer, too."""
        ...
