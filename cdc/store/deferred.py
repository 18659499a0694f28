"""Runs that a run has deferred: started when it ends, unless it takes them back.

They are kept among its steps, under ids that no step has by accident: `defer(<id>)`, and `abort(<id>)` where it took
that back. Neither is ever changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cdc.store.connect import Connection
from cdc.store.queries import text

DEFER, ABORT = "defer", "abort"
KINDS = frozenset({DEFER, ABORT})


class Deferred(NamedTuple):
    """A run to be started when `run_id`, which is one of `function_id`, has ended. `data`: its function and input."""

    run_id: str
    function_id: str
    key: str
    data: dict[str, Any]


def key(kind: str, step: str) -> str:
    """The id under which a deferred run, or that it was taken back, is kept."""
    return f"{kind}({step})"


def taken_back_by(key: str) -> str:
    """The key that takes back what is kept under this one."""
    return ABORT + key[len(DEFER) :]


def step_of(key: str) -> str:
    """The author's id in such a key."""
    return key[len(DEFER) + 1 : -1]


async def sizes(conn: Connection, run_id: str) -> dict[str, int]:
    """What a run has deferred and taken back: characters of JSON by key."""
    return dict(await (await conn.execute(text("defers/sizes"), {"id": run_id})).fetchall())


async def of_ended(conn: Connection, run_ids: Sequence[str]) -> list[Deferred]:
    """The runs that these runs, which end in the caller's transaction, have deferred and not taken back."""
    cursor = await conn.execute(text("defers/of_ended"), {"ids": list(run_ids)})
    return [Deferred(*row) for row in await cursor.fetchall()]
