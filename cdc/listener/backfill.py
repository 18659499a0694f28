"""Reads the existing rows of tables beside the listener, in the same process, and has them merged into the stream."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable

import orjson
import structlog

from cdc import faults
from cdc.clock import set_within
from cdc.errors import CdcError, ConfigurationError
from cdc.listener.catalog import Catalog
from cdc.listener.merging import Again, Merged, Merging, Offer, rows_of
from cdc.listener.source import Watched
from cdc.store import backfills, chunks
from cdc.store.backfills import Backfill
from cdc.store.connect import Connection
from cdc.store.failures import ConnectionTrouble, StatementFailed
from cdc.store.spans import Key, Span, TableLayout

log = structlog.get_logger(__name__)

MOST = 2_000
"""Rows in a chunk."""

MOST_BYTES = 4 * 1024 * 1024
"""In a chunk, and one row more."""

_LOOK = 30.0
"""Seconds between looks for what was asked for, if nobody tells."""

_PAUSE = 1.0
_TRIES = 3
_SHORT, _LONG = 0.01, 1.0
_TELL_AFTER = 2.0


class Reader:
    """Takes the backfills of one source, one after the other, for as long as one listener streams.

    `is_registered` tells whether there is a function of this id.
    """

    def __init__(
        self,
        watched: Watched,
        merging: Merging,
        *,
        to_state: Callable[[], Awaitable[Connection]],
        to_watched: Callable[[], Awaitable[Connection]],
        is_registered: Callable[[str], bool],
    ) -> None:
        self._watched = watched
        self._merging = merging
        self._to_state = to_state
        self._to_watched = to_watched
        self._is_registered = is_registered
        self._catalog = Catalog(to_watched)
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something was asked for, or what it waits for may be there."""
        self._wake.set()

    async def read_forever(self) -> None:
        """Read whatever is asked for; trouble is logged, and what was under way goes on where it was."""
        while True:
            pause = _LOOK
            try:
                await self._read_all()
            except (*ConnectionTrouble, CdcError) as error:
                log.warning("backfill interrupted", source=self._watched.name, reason=str(error).strip())
                pause = _PAUSE
            await set_within(self._wake, pause)
            self._wake.clear()

    async def _read_all(self) -> None:
        async with await self._to_state() as state:
            asked = await backfills.active(state, self._watched.name)
            if not asked:
                return
            async with await self._to_watched() as source:
                await chunks.pin(source)
                for backfill in asked:
                    await self._try(state, source, backfill)

    async def _try(self, state: Connection, source: Connection, backfill: Backfill) -> None:
        """Read one to its end, unless it cannot be; one that cannot begin yet is left for later."""
        for left in reversed(range(_TRIES)):
            try:
                reading = _Reading(self._watched, self._merging, self._catalog, state, source, backfill)
                await reading.read(self._is_registered)
            except ConfigurationError as error:
                reason = str(error)
            except ConnectionTrouble:
                raise
            except StatementFailed as error:
                if left:
                    await asyncio.sleep(_PAUSE)  # the table's definition may have changed under us
                    backfill = await backfills.load(state, backfill.id)
                    continue
                reason = error.diag.message_primary or str(error)
            else:
                return
            finally:
                self._merging.end()
            log.error("backfill failed", table=str(backfill), reason=reason)
            await backfills.fail(state, backfill.id, reason)
            return


class _Reading:
    """One backfill, from where it was."""

    def __init__(
        self,
        watched: Watched,
        merging: Merging,
        catalog: Catalog,
        state: Connection,
        source: Connection,
        backfill: Backfill,
    ) -> None:
        self._watched = watched
        self._merging = merging
        self._catalog = catalog
        self._state = state
        self._source = source
        self._backfill = backfill
        self._last_key: Key | None = None
        self._again: list[Again] = []

    async def read(self, is_registered: Callable[[str], bool]) -> None:
        """Read to the end.

        Raises:
            ConfigurationError: the table cannot be read.
        """
        backfill = self._backfill
        layout = await self._layout()
        if not layout.published:
            await self._wait_for("no function and no embedding names the table, so that it is not published")
            return
        if backfill.only_function is not None and not is_registered(backfill.only_function):
            await self._wait_for(f"the function {backfill.only_function!r} is not there")
            return
        await backfills.begin(self._state, backfill.id, expected=await chunks.estimate(self._source, backfill.table))
        log.info("backfill begins", table=str(backfill), rows=backfill.rows_done)
        await self._offer(layout)
        await self._resume()
        await self._until_writers_are_gone(layout)
        while not await self._is_over() and (until := await self._end(layout)) is not None:
            if await self._merge_next(layout, Span(self._last_key, until)):
                log.info("backfill done", table=str(backfill))
                return

    async def _layout(self) -> TableLayout:
        return await chunks.layout(self._source, self._watched.publication, self._backfill.table)

    async def _wait_for(self, reason: str) -> None:
        await backfills.tell(self._state, self._backfill.id, reason)

    async def _resume(self) -> None:
        """Where it was: only now that the listener has passed our first mark, and is done with any chunk before it."""
        self._backfill = await backfills.load(self._state, self._backfill.id)
        self._last_key = None if self._backfill.last_key is None else tuple(self._backfill.last_key)
        self._again = [Again(tuple(key)) for key in self._backfill.again]

    async def _is_over(self) -> bool:
        """Whether it was cancelled; its rate may have been changed, too."""
        self._backfill = await backfills.load(self._state, self._backfill.id)
        return self._backfill.is_over

    async def _end(self, layout: TableLayout) -> Key | None:
        """The key it ends with; None: there is nothing to read, and it is done."""
        if self._backfill.until_key is not None:
            return tuple(self._backfill.until_key)
        until = await chunks.last_key(self._source, layout)
        if until is None:
            await backfills.advance(self._state, self._backfill.id, last_key=None, again=[], merged=0, done=True)
        else:
            await backfills.bound(self._state, self._backfill.id, until)
        return until

    async def _until_writers_are_gone(self, layout: TableLayout) -> None:
        """Until no transaction is open that changed the table before our first mark.

        What one wrote before the table was published is not in the stream; and one whose commit is in the WAL may still
        be invisible, for as long as a synchronous standby takes. It holds its lock until it is seen.
        """
        writers = await chunks.writers(self._source, layout.oid)
        began, pause = asyncio.get_running_loop().time(), _SHORT
        while writers:
            if asyncio.get_running_loop().time() - began > _TELL_AFTER:
                pids = ", ".join(str(pid) if pid else "a prepared one" for pid in writers.values())
                await self._wait_for(f"transactions that write to the table must end first (process {pids})")
                if await self._is_over():
                    return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONG)
            left = await chunks.writers(self._source, layout.oid)
            writers = {transaction: pid for transaction, pid in left.items() if transaction in writers}

    async def _merge_next(self, layout: TableLayout, span: Span) -> bool:
        """Read a chunk and have it merged; whether it was the last one.

        Raises:
            ConfigurationError: what was read would not fit what was read before.
        """
        began = asyncio.get_running_loop().time()
        rate = self._backfill.rate
        again = [row.key for row in self._again]
        chunk = await chunks.read(
            self._source,
            self._watched.publication,
            self._backfill.table,
            span,
            again,
            most=min(MOST, rate or MOST),
            most_bytes=MOST_BYTES,
        )
        if not (chunk.layout.published and (chunk.layout.oid, chunk.layout.key) == (layout.oid, layout.key)):
            raise ConfigurationError(
                f"{self._backfill} was given another key, made anew or taken out of the publication meanwhile.",
                hint="Start the backfill again.",
            )
        faults.point("backfill.read")
        merged = await self._offer(chunk.layout, chunk)
        self._last_key, self._again = merged.last_key, merged.again
        if merged.done:
            return True
        if merged.passed:
            await asyncio.sleep(_SHORT)
        elif rate:
            await asyncio.sleep(began + len(merged.rows) / rate - asyncio.get_running_loop().time())
        return False

    async def _offer(self, layout: TableLayout, chunk: chunks.Chunk | None = None) -> Merged:
        """Mark the place in the WAL; returns once the listener has been there."""
        # No two marks are the same: one that was left behind by a failure must not be taken for the next.
        content = orjson.dumps({"backfill": self._backfill.id, "mark": secrets.token_hex(8)})
        rows = await rows_of(chunk, self._catalog) if chunk is not None else ()
        offer = Offer(content, self._backfill, layout, self._last_key, self._again, chunk, rows)
        self._merging.offer(offer)
        await chunks.announce(self._source, content.decode())
        faults.point("backfill.announced")
        return await offer.answer
