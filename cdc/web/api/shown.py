"""What runs look like in answers, for the document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cdc.web.api.choosing import Status


def named(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run with the names that Inngest's API has for what ours calls otherwise."""
    return {**run, "run_id": run["id"], "run_started_at": run["started_at"] or run["created_at"]}


def metadata() -> dict[str, Any]:
    """What stands beside the data of an answer that Inngest's API has, too."""
    return {"fetched_at": datetime.now(UTC), "cached_until": None}


class RunListed(BaseModel):
    """A run in a list."""

    id: str
    run_id: str = Field(description="The `id`, as it is called elsewhere.")
    run_started_at: datetime = Field(description="`started_at`; before that, `created_at`.")
    function_id: str
    status: Status
    failures: int = Field(description="Of the handler itself, outside steps.")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    replays: str | None = Field(description="The run whose events this one was given again.")
    output: Any = Field(description="Null when it has more than 4 kB.")
    error: dict[str, Any] | None = Field(description="Its name and the beginning of its message, when it is very long.")
    truncated: bool = Field(description="Whether something is left out: GET /v1/runs/{id} has it.")
    excerpt: str | None = Field(description="The beginning of an output that is left out, unless it is very large.")


class Call(BaseModel):
    """A call of a model."""

    model_config = ConfigDict(extra="allow")

    attempt: int | None
    ended_at: datetime
    operation: str
    provider: str
    model: str
    input_tokens: int | None
    output_tokens: int | None
    latency: float = Field(description="Seconds.")
    cost: str = Field(description="US dollars, or `unknown`.")
    error: str | None


class Attempt(BaseModel):
    """An attempt of a step, or of the handler."""

    attempt: int
    started_at: datetime
    ended_at: datetime | None = Field(description="Null: it is under way.")
    error: Any = Field(description="Null: it succeeded, or is under way.")


class Awaited(BaseModel):
    """What a step waits for."""

    event: str | None
    expression: str | None
    expires_at: datetime | None


class Step(BaseModel):
    """A step of a run."""

    model_config = ConfigDict(extra="allow")

    id: str
    kind: str
    attempts: list[Attempt]
    copied: bool = Field(description="From the run that this one replays.")
    waits_for: Awaited | None = Field(default=None, description="Of a step that waits.")
    invoked: str | None = Field(default=None, description="Of a step that invokes: the run.")
    input: Any
    data: Any
    error: Any
    wake_at: datetime | None = Field(description="End of a sleep, of a wait's timeout, of the pause before a retry.")
    started_at: datetime
    ended_at: datetime | None
    calls: list[Call] = Field(default=[], description="Of models.")


class Wait(BaseModel):
    """What a run waits for, or what cancels it."""

    model_config = ConfigDict(extra="allow")

    id: str
    cancels: bool
    event: str
    expression: str | None
    expires_at: datetime


class Line(BaseModel):
    """What a run told its logger."""

    ts: datetime
    level: str
    line: str
    fields: dict[str, Any]


class Metadata(BaseModel):
    """What an app said about a run, or about one of its steps."""

    step_id: str | None = Field(description="As the app named it; null: about the run itself.")
    kind: str
    values: dict[str, Any]
    updated_at: datetime


class Run(BaseModel):
    """A run."""

    model_config = ConfigDict(extra="allow")

    id: str
    run_id: str = Field(description="The `id`, as it is called elsewhere.")
    run_started_at: datetime = Field(description="`started_at`; before that, `created_at`.")
    event_id: str | None = Field(description="The first of `event_ids`.")
    function_id: str
    status: Status
    failures: int = Field(description="Of the handler itself, outside steps.")
    event_ids: list[str]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    due_at: datetime
    held_at: str | None = Field(description="Where it stands out of the queue: a limit of flow control, or `paused`.")
    deadline: datetime | None
    replays: str | None
    output: Any
    error: Any
    attempts: list[Attempt] = Field(description="Of the handler, outside steps.")
    replayed_by: list[str]
    steps: list[Step]
    waits: list[Wait]
    metadata: list[Metadata]
    logs: list[Line]


class Cancelled(BaseModel):
    """The run that was cancelled."""

    run_id: str


class Replayed(BaseModel):
    """The new run."""

    run_id: str
    replays: str
