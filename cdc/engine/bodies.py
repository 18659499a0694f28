"""How a step's body is called: on the event loop, in a thread, or in a transaction that records the step, too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from cdc import faults
from cdc.authoring.calling import call
from cdc.authoring.context import Database
from cdc.errors import LeaseLost, NonRetriableError, RetryAfter
from cdc.store import journal
from cdc.store.connect import Connection
from cdc.store.failures import ConnectionTrouble
from cdc.store.journal import StepRecord

__all__ = ["CommitInDoubt", "Record", "Step", "StepDatabase", "call", "inside"]

Record = Callable[[StepRecord], Awaitable[None]]


class Step(Protocol):
    """A step whose body runs."""

    @property
    def key(self) -> str:
        """Its id within the run."""
        ...

    @property
    def attempt(self) -> int:
        """From 1."""
        ...


inside: ContextVar[Step | None] = ContextVar("step", default=None)
"""The step whose body is running, also in the threads and tasks that it makes."""


class CommitInDoubt(RetryAfter):
    """Whether the transaction was committed is not known here: the replay sees it in the record, or repeats it."""

    counts_as_attempt = False


@dataclass(frozen=True, slots=True)
class StepDatabase:
    """The database that a run is about, and whether the service's state is in it, so that one commit spans both."""

    db: Database
    worker_id: int
    has_state: bool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[tuple[Connection, Record]]:
        """A connection in a transaction, and what records a step in it; commits at the end of the block.

        Raises:
            NonRetriableError: the state lives elsewhere.
            LeaseLost: the run is not this worker's any more; nothing is committed.
        """
        if not self.has_state:
            raise NonRetriableError(
                "step.transaction needs the service's state in the database that the run is about; with "
                "CDC_STATE_DATABASE_URL, or a row of another source, one commit cannot span both: use step.run, and "
                "make its body safe to repeat"
            )

        recorded = False
        try:
            async with self.db.connection() as conn, conn.transaction():

                async def record(step: StepRecord) -> None:
                    nonlocal recorded
                    written = await journal.write(conn, self.worker_id, [step], [])
                    if not written.alive:
                        raise LeaseLost("This worker's lease is gone; its runs belong to other workers now.")
                    if not written.steps:
                        raise CommitInDoubt("the step is recorded already; this repetition is undone", 0)
                    recorded = True
                    faults.point("transaction.before_commit")

                yield conn, record
            faults.point("transaction.committed")
        except ConnectionTrouble as lost:
            if not recorded:
                raise
            raise CommitInDoubt("the connection was lost at the commit", 1) from lost
