"""The book of calls of models: what a process asked for outside of steps, written down every second."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal

import structlog

from cdc import telemetry
from cdc.ai.call import Call
from cdc.ai.price import cost
from cdc.clock import set_within
from cdc.errors import CdcError
from cdc.store import ai_calls
from cdc.store.ai_calls import CallRecord
from cdc.store.connect import Connection
from cdc.store.failures import ConnectionTrouble, StatementFailed

log = structlog.get_logger(__name__)

_EVERY = 1.0
_MOST = 10_000
"""Calls that are kept for a database that is away; older ones are forgotten then."""

_LAST = 2.0
"""Seconds for the last page, when the process ends."""


class Ledger:
    """Takes calls at once, and writes them later. `connect` gives a connection to the state.

    Without calls it holds no connection; with them, one that it closes when a page had none.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, every: float = _EVERY) -> None:
        self._connect = connect
        self._every = every
        self._calls: deque[Call] = deque(maxlen=_MOST)
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def __call__(self, call: Call) -> None:
        """Take note of one call."""
        self._calls.append(call)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="ledger", context=telemetry.apart())

    async def close(self) -> None:
        """Write what is left, unless the database is away."""
        self._closing.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST):
                if self._writing is not None:
                    await self._writing
                if self._calls:
                    await self._write()

    async def _write(self) -> None:
        """All there is, what comes while the connection is being closed included."""
        await self._pause()
        while self._calls and await self._write_pages():
            pass

    async def _write_pages(self) -> bool:
        """Whether the database is there."""
        page: list[Call] = []
        try:
            async with await self._connect() as conn:
                while self._calls:
                    page = list(self._calls)
                    self._calls.clear()
                    async with conn.transaction():
                        await ai_calls.write(conn, [_record(call) for call in page])
                    page = []
                    await self._pause()
        except (*ConnectionTrouble, CdcError) as error:
            # Written perhaps, if the connection was lost late: counted twice rather than not at all.
            self._calls.extendleft(reversed(page))
            log.warning("calls of models are not written down yet", calls=len(self._calls), reason=str(error).strip())
            return False
        except StatementFailed as error:
            log.warning("calls of models were not written down", calls=len(page), reason=str(error).strip())
        return True

    async def _pause(self) -> None:
        await set_within(self._closing, self._every)


def _record(call: Call) -> CallRecord:
    return CallRecord(**call.flat() | {"cost": call.cost if call.cost is not None else _price(call)})


def _price(call: Call) -> Decimal | None:
    """In US dollars. A deployment may have any name; what answered has the model's."""
    if call.provider.startswith("local"):
        return Decimal(0)
    return cost(call.provider, call.response_model or call.model, call.usage) or cost(
        call.provider, call.model, call.usage
    )
