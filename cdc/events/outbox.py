"""The same door for events that are no row changes: taken in within the transaction of whoever sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cdc.events import ending, intake
from cdc.events.intake import Taken
from cdc.events.match import Registry, Start
from cdc.events.start import Wanted
from cdc.store import events as store
from cdc.store import functions, runs
from cdc.store.connect import Connection
from cdc.store.events import Incoming


class Invocation(NamedTuple):
    """A run of one function, whatever its triggers. `invoker` is the run and step that wait for its result."""

    function_id: str
    event: Incoming
    invoker: tuple[str, str] | None = None


class Outbox:
    """Takes events in with a cached copy of the registry, as the listener's door does; it has no checkpoint to move."""

    def __init__(self) -> None:
        self._registry = Registry.of(-1, [], frozenset())

    async def add(
        self,
        conn: Connection,
        incoming: Sequence[Incoming],
        invocations: Sequence[Invocation] = (),
        *,
        unseen: bool = False,
    ) -> Taken:
        """Take events in and start runs, within the caller's transaction, which has locked their names.

        What is stored already is passed over: the caller repeats a commit whose answer was lost. With `unseen` it is
        not looked for, and one that is stored fails as a whole (EventRepeated).
        """
        await self.refresh(conn)
        told = [*incoming, *(each.event for each in invocations)]
        known = set() if unseen else await store.stored(conn, told)
        fresh = [event for event in incoming if event.id not in known]
        new = [each for each in invocations if each.event.id not in known]
        unknown = [each for each in new if each.function_id not in self._registry.functions]
        directed = [
            Wanted(self._registry.functions[each.function_id], each.event, each.invoker)
            for each in new
            if each.function_id in self._registry.functions
        ]
        refused = await _refuse(conn, unknown)
        taken = await intake.take(conn, self._registry, fresh, directed=directed)
        return Taken(taken.runs, taken.due or refused > 0)

    async def cancel(self, conn: Connection, reasons: Mapping[str, str]) -> tuple[list[str], bool]:
        """Cancel runs where they are unfinished, within the caller's transaction; which, and whether others are due."""
        await self.refresh(conn)
        ended = await ending.cancel(conn, reasons, finished=self.listens_to(ending.FINISHED))
        taken = await intake.take(conn, self._registry, ended.events)
        return ended.runs, ended.due or taken.due

    def listens_to(self, name: str) -> bool:
        """Whether some function starts on events of this name; known since the last refresh."""
        return bool(self._registry.started_by(name))

    @property
    def version(self) -> int:
        """Of the registry, at the last refresh."""
        return self._registry.version

    async def refresh(self, conn: Connection) -> Mapping[str, Start]:
        """The functions in force, read anew when they changed."""
        if await functions.version(conn) > self._registry.version:
            found = Registry.of(*await functions.registered(conn), frozenset())
            if found.version > self._registry.version:  # another transaction of this process may know a newer one
                self._registry = found
        return self._registry.functions


async def _refuse(conn: Connection, unknown: Sequence[Invocation]) -> int:
    refused = [
        (*each.invoker, {"name": "FunctionUnknown", "message": f"there is no function {each.function_id!r}"})
        for each in unknown
        if each.invoker
    ]
    return await runs.refuse_steps(conn, refused) if refused else 0
