from __future__ import annotations

import asyncio

import pytest

from cdc.listener.standbys import Standbys
from cdc.wal.timelines import ends

HISTORY = """\
1\t0/3000060\tno recovery target specified

# somebody's note
2\tA/0\tbefore 2026-01-01 00:00:00+00
"""


def test_a_history_tells_where_each_timeline_ended() -> None:
    assert ends(HISTORY) == {1: 0x3000060, 2: 0xA00000000}
    assert ends("") == {}


def test_where_no_standby_matters_everything_stored_is_confirmed() -> None:
    standbys = Standbys(None)
    asyncio.run(standbys.accepted(100))
    assert standbys.confirmable(100, 90) == 90
    assert standbys.confirmable(100, 200) == 100


@pytest.mark.parametrize(("received", "confirmed"), [(149, 0), (150, 100), (179, 100), (180, 120), (900, 120)])
def test_what_is_stored_is_confirmed_once_the_stream_has_come_past_the_commit_that_stored_it(
    received: int, confirmed: int
) -> None:
    ends = iter([150, 180])

    async def written() -> int:
        return next(ends)

    async def accept() -> Standbys:
        standbys = Standbys(written)
        await standbys.accepted(100)
        await standbys.accepted(120)
        return standbys

    assert asyncio.run(accept()).confirmable(120, received) == confirmed
