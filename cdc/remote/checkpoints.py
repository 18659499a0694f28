"""Steps that apps tell of while they run (section 6.1): those that come at the same time share a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum, auto

from cdc.store import runs
from cdc.store.connect import Connection
from cdc.store.failures import Deadlocked, StatementFailed, about_a_value
from cdc.store.json import loads
from cdc.store.reported import Recorded, Report, Told, record
from cdc.store.runs import Memo

_MOST = 500
"""Reports in one transaction."""

_MOST_BYTES = 16 * 1024 * 1024
_ATTEMPTS = 5


class Took(Enum):
    """What became of a report. STALE: the run is held by another claim, or by none, or one of the steps had ended with
    another result: whoever tells of it is not the one who counts.
    """

    RECORDED = auto()
    STALE = auto()


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    report: Report
    size: int
    ended: asyncio.Future[Took | Exception]


class Checkpoints:
    """Records the reports of many requests."""

    def __init__(self, connection: Callable[[], AbstractAsyncContextManager[Connection]]) -> None:
        self._connection = connection
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def take(self, report: Report, size: int) -> Took:
        """Record a report whose documents have `size` characters; durable on return.

        Raises:
            StatementFailed: the database failed, or cannot store something in it; nothing was recorded.
        """
        waiting = _Waiting(report, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        left = await waiting.ended
        if isinstance(left, Exception):
            raise left
        return left

    async def _write(self) -> None:
        batch: list[_Waiting] = []
        try:
            while batch := self._next():
                await self._record(batch)
        except Exception as error:  # noqa: BLE001 - no connection, say: whatever it is, those who wait are told
            _end([*batch, *self._waiting], error)
            self._waiting.clear()
        finally:
            self._writing = None

    def _next(self) -> list[_Waiting]:
        """Those who have waited longest, one for each run: another one of the same run comes after it."""
        batch: list[_Waiting] = []
        rest: list[_Waiting] = []
        taken: set[str] = set()
        size = 0
        for each in self._waiting:
            size += each.size
            fits = not batch or (len(batch) < _MOST and size <= _MOST_BYTES)
            (batch if fits and each.report.run_id not in taken else rest).append(each)
            taken.add(each.report.run_id)
        self._waiting = rest
        return batch

    async def _record(self, batch: Sequence[_Waiting]) -> None:
        """In one transaction; when a value is to blame, halved until the guilty one stands alone."""
        try:
            found = await self._transact([each.report for each in batch])
        except StatementFailed as error:
            if len(batch) > 1 and about_a_value(error):
                middle = len(batch) // 2
                await self._record(batch[:middle])
                await self._record(batch[middle:])
            else:
                _end(batch, error)
        else:
            for each in batch:
                _end([each], found[each.report.run_id])

    async def _transact(self, reports: Sequence[Report]) -> dict[str, Took]:
        stale: dict[str, Took] = {}
        deadlocks = 0
        while True:
            left = [each for each in reports if each.run_id not in stale]
            try:
                async with self._connection() as conn:
                    return stale | await _record(conn, left)
            except _InPart as in_part:
                stale |= dict.fromkeys(in_part.run_ids, Took.STALE)
            except Deadlocked:
                deadlocks += 1
                if deadlocks == _ATTEMPTS:
                    raise


class _InPart(Exception):
    """Of these runs' reports only a part would have been recorded: they are stale, and none of it is."""

    def __init__(self, run_ids: Sequence[str]) -> None:
        super().__init__()
        self.run_ids = run_ids


async def _record(conn: Connection, reports: Sequence[Report]) -> dict[str, Took]:
    """What becomes of each report, by run.

    Raises:
        _InPart: the transaction has to be rolled back.
    """
    recorded = await record(conn, reports)
    known = await _known(conn, reports, recorded)
    took = {each.run_id: _took(each, recorded, known.get(each.run_id, {})) for each in reports}
    if in_part := {run_id for run_id, _ in recorded.steps if took[run_id] is Took.STALE}:
        raise _InPart(sorted(in_part))
    return took


async def _known(conn: Connection, reports: Sequence[Report], recorded: Recorded) -> Mapping[str, Mapping[str, Memo]]:
    """What is recorded of the runs some of whose steps were not recorded now: a report comes again when its answer is
    lost.
    """
    held = [each for each in reports if each.run_id in recorded.held]
    return await runs.memos(conn, [each.run_id for each in held if _missed(each, recorded)])


def _missed(report: Report, recorded: Recorded) -> list[Told]:
    return [step for step in report.steps if (report.run_id, step.id) not in recorded.steps]


def _took(report: Report, recorded: Recorded, known: Mapping[str, Memo]) -> Took:
    if report.run_id not in recorded.held:
        return Took.STALE
    same = all(_is(step, known.get(step.id)) for step in _missed(report, recorded))
    return Took.RECORDED if same else Took.STALE


def _is(step: Told, known: Memo | None) -> bool:
    """Whether what is recorded of a step is what was told of it."""
    if known is None or not known.ended:
        return False
    if step.error is not None or known.error is not None:
        return step.error is not None and known.error == loads(step.error)
    return step.data is not None and known.data == loads(step.data)


def _end(batch: Sequence[_Waiting], left: Took | Exception) -> None:
    """Tell those who still wait."""
    for each in batch:
        if not each.ended.done():
            each.ended.set_result(left)
