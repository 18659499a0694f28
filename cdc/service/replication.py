"""How changes come, as the API and the pages tell it: of each source its slot, tables and backfills, and the doctor."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from cdc.errors import CdcError
from cdc.service.databases import Databases
from cdc.service.named import Named
from cdc.store import backfills, examining
from cdc.store.backfills import Backfill
from cdc.store.examining import SlotState
from cdc.store.failures import StatementFailed
from cdc.store.publications import tables

_BACKFILLS = 10

_PATIENCE = 60.0
"""Seconds that the doctor has."""

_TOLD = ("active", "wal_status", "safe_wal_size", "invalidation_reason", "failover", "synced", "conflicting")
"""Columns of the slot that are passed on, where this version has them."""


@dataclass(frozen=True, slots=True)
class Replication:
    """Implements `cdc.web.site.Replication`. `environment`: what `cdc doctor` must know besides ours."""

    databases: Databases
    publication: str
    named: Callable[[], Sequence[Named]]
    environment: Callable[[], Mapping[str, str]]

    async def sources(self) -> Sequence[dict[str, Any]]:
        """See the protocol."""
        return await asyncio.gather(*(self._source(named) for named in self.named()))

    async def checks(self, source: str | None, /) -> Sequence[dict[str, Any]] | None:
        """See the protocol. In a process of its own: it loads the files of functions, which have no place in ours."""
        chosen = next((each for each in self.named() if source in (None, each.name)), None)
        if chosen is None:
            return None
        arguments = [] if chosen.is_home else ["--source", chosen.name]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cdc", "doctor", "--json", *arguments),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env={**os.environ, **self.environment()},
        )
        try:
            async with asyncio.timeout(_PATIENCE):
                out, err = await process.communicate()
        except TimeoutError:
            return [_failed(f"cdc doctor did not come to an end in {_PATIENCE:.0f} seconds.")]
        finally:
            if process.returncode is None:
                process.kill()
        found = [orjson.loads(line) for line in out.splitlines()]
        return found or [_failed(err.decode(errors="replace").strip())]

    async def _source(self, named: Named) -> dict[str, Any]:
        """What can be found out about one; `unanswered` says why there is no more."""
        told: dict[str, Any] = {"name": named.name, "unanswered": None, "slot": None, "tables": [], "backfills": []}
        databases = self.databases.watching(named)
        try:
            async with await databases.to_state() as state:
                latest = await backfills.latest(state, named.name, _BACKFILLS)
            told["backfills"] = [_backfill(each) for each in latest]
            async with await databases.to_watched() as conn:
                slot = await examining.slot(conn, named.slot)
                published = await tables(conn, self.publication)
        except (StatementFailed, CdcError) as error:
            return {**told, "unanswered": str(error).strip()}
        return {**told, "slot": slot and _slot(slot), "tables": [".".join(table) for table in sorted(published)]}


def _slot(slot: SlotState) -> dict[str, Any]:
    known = {name: slot.columns[name] for name in _TOLD if slot.columns.get(name) is not None}
    return {**known, "retained_bytes": slot.retained, "lag_bytes": slot.lag, "inactive_seconds": slot.inactive_for}


def _backfill(backfill: Backfill) -> dict[str, Any]:
    return {
        "table": str(backfill),
        "function": backfill.only_function,
        "status": backfill.status,
        "rows": backfill.rows_done,
        "expected": backfill.rows_expected,
        "reason": backfill.reason,
    }


def _failed(says: str) -> dict[str, Any]:
    return {"check": "doctor", "state": "failed", "says": says, "next": "Run 'cdc doctor' in a shell."}
