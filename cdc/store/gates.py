"""Gates: where flow control counts. Whoever decides locks them first, in the order written in sql/queries/gates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cdc.store.connect import Connection
from cdc.store.queries import text

_TURN = "turn/"


@dataclass(slots=True)
class Gate:
    """A locked gate. All moments are seconds since 1970 by the database's clock."""

    name: str
    taken: int
    free_at: float
    booked_until: float
    now: float


async def lock(conn: Connection, names: Iterable[str]) -> dict[str, Gate]:
    """Lock these gates until the caller's transaction ends, making those that are not there."""
    wanted = sorted(set(names))
    found: dict[str, Gate] = {}
    while len(found) < len(wanted):  # once, unless the pruner removed one between the two statements
        await conn.execute(text("gates/make"), {"names": wanted})
        rows = await (await conn.execute(text("gates/lock"), {"names": wanted})).fetchall()
        found = {row[0]: Gate(*row) for row in rows}
    return found


async def read(conn: Connection, names: Iterable[str]) -> dict[str, Gate]:
    """These gates as they are, unlocked; those that are not there are as good as new."""
    wanted = list(names)
    rows = await (await conn.execute(text("gates/read"), {"names": wanted})).fetchall()
    return {name: Gate(name, 0, 0.0, 0.0, 0.0) for name in wanted} | {row[0]: Gate(*row) for row in rows}


async def write(conn: Connection, gates: Sequence[Gate]) -> None:
    """Write what was decided at these locked gates."""
    if gates:
        parameters = {
            "names": [gate.name for gate in gates],
            "takens": [gate.taken for gate in gates],
            "free_ats": [gate.free_at for gate in gates],
            "booked": [gate.booked_until for gate in gates],
        }
        await conn.execute(text("gates/set"), parameters)


async def free(conn: Connection, run_ids: Sequence[str]) -> bool:
    """Give back the places of runs that suspended or ended, and call others; whether any was called."""
    freed = await (await conn.execute(text("gates/free"), {"ids": run_ids})).fetchall()
    return await call(conn, {(gate, function_id): places for gate, function_id, places in freed})


async def call(conn: Connection, places: Mapping[tuple[str, str], int]) -> bool:
    """Call so many runs that stand at a gate, by gate and function; whether there were any."""
    if not places:
        return False
    parameters = {
        "names": [gate for gate, _ in places],
        "functions": [function_id for _, function_id in places],
        "places": list(places.values()),
    }
    return (await conn.execute(text("gates/call"), parameters)).rowcount > 0


async def call_all(conn: Connection, places: Mapping[str, int]) -> bool:
    """Call so many runs of each function that stand at these gates; whether there were any."""
    functions = await (await conn.execute(text("gates/waited_at"), {"names": list(places)})).fetchall()
    return await call(conn, {(gate, function_id): places[gate] for gate, function_id in functions})


async def pass_turns(conn: Connection, run_ids: Sequence[str]) -> bool:
    """Give the turns of runs that ended to the next of their keys; whether there was any."""
    ended = await (await conn.execute(text("turns/end"), {"ids": run_ids})).fetchall()
    return bool(ended) and await give_turns(conn, {row[0] for row in ended}, ended=True)


async def give_turns(conn: Connection, names: Iterable[str], *, ended: bool = False) -> bool:
    """Give each of these turns to the first run that stands there, if it is free; or when it `ended`."""
    locked = await lock(conn, names)
    free_ = [name for name, gate in locked.items() if ended or not gate.taken]
    given = {row[0] for row in await (await conn.execute(text("turns/next"), {"names": free_})).fetchall()}
    parameters = {"names": free_, "takens": [int(name in given) for name in free_]}
    await conn.execute(text("turns/taken"), parameters)
    return bool(given)


async def adrift(conn: Connection, after: str, limit: int) -> list[tuple[str, bool]]:
    """The next `limit` gates after this one where runs stand, and whether each may need `mend`."""
    cursor = await conn.execute(text("gates/adrift"), {"after": after, "limit": limit})
    return [(name, needs) for name, needs in await cursor.fetchall()]


async def mend(conn: Connection, names: Iterable[str]) -> bool:
    """Count the places at these gates anew, and call the first run where nobody has one; whether any was called."""
    async with conn.transaction():
        locked = await lock(conn, names)
        places: dict[str, int] = dict(
            await (await conn.execute(text("gates/places"), {"names": list(locked)})).fetchall()
        )
        for name, gate in locked.items():
            gate.taken = places.get(name, 0)
        await write(conn, list(locked.values()))
        empty = [name for name, gate in locked.items() if not gate.taken]
        turns = [name for name in empty if name.startswith(_TURN)]
        given = bool(turns) and await give_turns(conn, turns)
        called = await call_all(conn, {name: 1 for name in empty if not name.startswith(_TURN)})
        return given or called
