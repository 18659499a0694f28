"""Which functions a worker executes, and which of them it may claim runs of just now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from cdc.authoring.function import Function
from cdc.engine import places
from cdc.engine.admission import Flows
from cdc.store import functions as registry
from cdc.store.connect import Connection


class Group(NamedTuple):
    """Functions whose runs are claimed together, with their flow control, and how many runs at most."""

    flows: Flows
    limit: int

    @property
    def functions(self) -> list[str]:
        """Their ids."""
        return list(self.flows)


@dataclass(frozen=True, slots=True)
class Open:
    """The functions whose runs may be claimed now: in groups, so that little room for one leaves the others theirs."""

    groups: Sequence[Group]
    flows: Flows

    @classmethod
    def of(cls, groups: Sequence[Group]) -> Open:
        """Those of these groups."""
        return cls(groups, {id_: flow for group in groups for id_, flow in group.flows.items()})

    @property
    def functions(self) -> list[str]:
        """The ids of all."""
        return list(self.flows)


class Roster(Protocol):
    """The functions of one worker."""

    @property
    def functions(self) -> Mapping[str, Function]:
        """All of them; they may change whenever the worker waits."""
        ...

    def own(self) -> list[str]:
        """The ids that stay registered only as long as this worker lives."""
        ...

    async def register(self, conn: Connection) -> None:
        """Before the first claim, when the worker has its lease."""
        ...

    async def refresh(self, conn: Connection) -> None:
        """Before each claim: what changed meanwhile."""
        ...

    def open(self) -> Open:
        """What may be claimed now."""
        ...

    def opens_in(self) -> float | None:
        """Seconds until more may be claimed, when that is not told by a wake-up; None: it is."""
        ...


_ANY = 1_000_000


class Fixed:
    """Functions written in Python, which this process has loaded: the same ones for all its life, always open."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self.functions = functions
        self._open = Open.of([Group(places.flows_of(functions.values()), _ANY)])

    def own(self) -> list[str]:
        """All of them."""
        return list(self.functions)

    async def register(self, conn: Connection) -> None:
        """Those that no live worker has are archived."""
        await registry.register(conn, [function.definition() for function in self.functions.values()])

    async def refresh(self, conn: Connection) -> None:
        """Nothing changes."""

    def open(self) -> Open:
        """All of them."""
        return self._open

    def opens_in(self) -> float | None:
        """They are open."""
        return None
