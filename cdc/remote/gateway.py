"""Requests that are made for steps of apps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdc.ai.call import Call
from cdc.errors import NonRetriableError
from cdc.remote.addresses import Entry


@dataclass(frozen=True, slots=True)
class Inferred:
    data: Any
    call: Call


class Gateway:
    def __init__(self, entries: Sequence[Entry], *, development: bool) -> None: ...

    async def __aenter__(self) -> Gateway:
        return self

    async def __aexit__(self, *error: object) -> None: ...

    async def infer(self, opts: Mapping[str, Any]) -> Inferred:
        raise NonRetriableError("not yet")

    async def fetch(self, opts: Mapping[str, Any]) -> dict[str, Any]:
        raise NonRetriableError("not yet")


def call_of(result: Any) -> Call | None:
    return None
