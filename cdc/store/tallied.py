"""The rows of cdc_state.tallies: added to, read in steps and as sums, pruned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cdc.store.arrays import plain, quoted
from cdc.store.connect import Connection
from cdc.store.plots import Window
from cdc.store.queries import text
from cdc.tallies import Count, Tally

MINUTE, HOUR = 60, 3600

ALL = ""
"""The name under which all of a kind are counted together."""

Bins = dict[tuple[str, str], dict[int, int]]
"""Counts by what and name, then by number of step."""

Added = tuple[int, Count]
"""What is to be added to the minute that began then (seconds since 1970)."""

_MOST = 5000
"""Sums in one answer."""


async def add(conn: Connection, added: Sequence[Added]) -> None:
    """Add counts to their minutes, to their hours, and to those of all names together."""
    rows = _rows(added)
    if rows:
        widths, whats, names, ats, counts, seconds, buckets = zip(*rows, strict=True)
        parameters = {
            "widths": plain(widths),
            "whats": plain(whats),
            "names": quoted(names),
            "ats": plain(ats),
            "counts": plain(counts),
            "seconds": plain(seconds),
            "buckets": quoted(map(plain, buckets)),
        }
        await conn.execute(text("tallies/add"), parameters)


def _rows(added: Iterable[Added]) -> list[tuple[int, str, str, int, int, float, Sequence[int]]]:
    sums: dict[tuple[int, str, str, int], Tally] = {}
    for at, counted in added:
        for width in (MINUTE, HOUR):
            for name in (counted.name, ALL):
                key = width, counted.what, name, at - at % width
                sums.setdefault(key, Tally()).add(counted.count, counted.seconds, counted.buckets)
    return [(*key, tally.count, tally.seconds, tally.buckets) for key, tally in sums.items()]


async def prune(conn: Connection, limit: int, *, minutes: float, hours: float) -> int:
    """Delete up to `limit` minutes and hours that are so many seconds old; how many."""
    return (await conn.execute(text("tallies/prune"), {"limit": limit, "minutes": minutes, "hours": hours})).rowcount


async def bins_of(conn: Connection, window: Window, whats: Sequence[str], names: Sequence[str]) -> Bins:
    """Counts of these kinds and names, by number of step; steps in which nothing was counted are left out."""
    parameters = {**_over(window, whats), "names": list(names), "step": window.step}
    found: Bins = {}
    for what, name, number, count in await (await conn.execute(text("tallies/bins"), parameters)).fetchall():
        found.setdefault((what, name), {})[number] = count
    return found


async def timed_of(
    conn: Connection, window: Window, whats: Sequence[str], name: str
) -> dict[str, dict[int, Sequence[int]]]:
    """The buckets of these kinds, of one name, by number of step."""
    parameters = {**_over(window, whats), "name": name, "step": window.step}
    found: dict[str, dict[int, Sequence[int]]] = {what: {} for what in whats}
    for what, number, buckets in await (await conn.execute(text("tallies/timed"), parameters)).fetchall():
        found[what][number] = buckets
    return found


async def sums_of(conn: Connection, window: Window, whats: Sequence[str]) -> list[Count]:
    """What was counted of these kinds in the whole window, by name, the most first; `ALL` is among the names."""
    parameters = {**_over(window, whats), "limit": _MOST}
    return [Count(*row) for row in await (await conn.execute(text("tallies/sums"), parameters)).fetchall()]


def _over(window: Window, whats: Sequence[str]) -> dict[str, object]:
    return {"width": window.width, "whats": list(whats), "since": window.since}
