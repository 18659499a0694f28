"""What answers look like, for the document; they are not checked again when they are given."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, Field

T = TypeVar("T")

MOST = 100
"""Rows in one answer."""

Limit = Annotated[int | None, Query(ge=1, le=MOST, description="How many at most: 100 without; of CSV, 100,000.")]
_NEXT = "The `next` of the answer before: what comes after that."
EventCursor = Annotated[str | None, Query(pattern="^[A-Za-z0-9_-]{32}$", description=_NEXT)]
CallCursor = Annotated[str | None, Query(pattern="^[A-Za-z0-9_-]{11}$", description=_NEXT)]
RunCursor = Annotated[str | None, Query(pattern="^[A-Za-z0-9_-]{22}$", description=_NEXT)]
EventId = Annotated[str, Path(alias="id", json_schema_extra={"format": "uuid"}, description="Of an event.")]
RunId = Annotated[str, Path(alias="id", json_schema_extra={"format": "uuid"}, description="Of a run.")]
FunctionId = Annotated[str, Path(alias="id", description="Of a function.")]


def _whole(given: object) -> object:
    return int(given) if isinstance(given, float) and given.is_integer() else given


AnyWhole = BeforeValidator(_whole)
"""A whole number as JSON may write it: 5 or 5.0."""


class Asked(BaseModel, extra="forbid", strict=True):
    """The body of a request: a field that is not known is refused."""


class Nothing(Asked):
    """The body of a request that has nothing to say: `{}`, or nothing at all."""


class Refusal(BaseModel):
    """Why a request was refused or failed."""

    error: str = Field(description="A sentence.")
    status: int


class One(BaseModel, Generic[T]):
    """One thing."""

    data: T


class All(BaseModel, Generic[T]):
    """All there are."""

    data: list[T]


class Listed(BaseModel, Generic[T]):
    """A page of a list, newest first."""

    data: list[T]
    next: str | None = Field(description="The `cursor` of the next page; null: this was the last one.")
    searched_until: str | None = Field(
        description="How far back was looked, where that took as many rows as one request may look at before the page"
        " was full. Ask again with `next`.",
    )


_MEANS = {
    400: "Something in the request cannot be used.",
    403: "The service's role in the database may not.",
    404: "There is no such thing.",
    405: "The address is right, the method is not.",
    409: "It is not in a state to be.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
    422: "The provider refuses a text.",
    502: "The provider refuses the service.",
    503: "A database or a provider does not answer, or it is not known yet whose the state is; try again.",
}


def refused(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ways in which a route may refuse, for the document."""
    return {status: {"model": Refusal, "description": _MEANS[status]} for status in sorted({*statuses, 400, 503})}


def changes(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same of a route that takes a body."""
    return refused(*statuses, 413, 415)


def listed(name: str) -> dict[int | str, dict[str, Any]]:
    """The answers of a list, which may be CSV."""
    table = {"text/csv": {"schema": {"type": "string", "description": f"The same {name}, a line each."}}}
    return {200: {"content": table}, **refused()}
