"""What apps say about runs and their steps beside what these come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from psycopg.rows import dict_row

from cdc.store.connect import Connection
from cdc.store.json import document
from cdc.store.queries import text

MOST = 256 * 1024
"""Characters of JSON for one run."""


class Update(NamedTuple):
    """Some fields of a kind; they replace all that were said before, or only those of the same names."""

    kind: str
    replaces: bool
    fields: Mapping[str, Any]


async def say(conn: Connection, run_id: str, step_id: str | None, updates: Sequence[Update]) -> bool:
    """Keep it; False: with it there would be too much of the run, and nothing is kept."""
    fields = [document(update.fields) for update in updates]
    told = {
        "run_id": run_id,
        "step_id": step_id,
        "kinds": [update.kind for update in updates],
        "ops": ["set" if update.replaces else "merge" for update in updates],
        "fields": fields,
        "size": sum(map(len, fields)),
        "most": MOST,
    }
    return bool(await (await conn.execute(text("metadata/insert"), told)).fetchall())


async def of_run(conn: Connection, run_id: str) -> list[dict[str, Any]]:
    """What was said in the end: for each step (None: the run itself) and kind its `values`, and when (`updated_at`)."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(text("metadata/of_run"), {"id": run_id})
        said = await cursor.fetchall()
    combined: dict[tuple[str | None, str], dict[str, Any]] = {}
    for each in said:
        known = combined.setdefault((each["step_id"], each["kind"]), {"values": {}})
        before = {} if each["op"] == "set" else known["values"]
        known |= {"values": {**before, **each["fields"]}, "updated_at": each["ts"]}
    return [{"step_id": step_id, "kind": kind, **said} for (step_id, kind), said in combined.items()]
