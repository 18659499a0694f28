"""The same over TLS: from WAL to stored events, and from COMMIT to the handler.

The server is Debian's Postgres 15: that of the wheel is built without TLS. Its walsender sends each row in a record of
its own, which costs both sides, pg_recvlogical as well.
"""

from __future__ import annotations

from tests.benchmarks import latency, rows, wal
from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import Ground
from tests.servers import binaries


async def measure(ground: Ground) -> list[Figure]:
    """Transactions of 100 rows, then single rows by and by."""
    async with Ground(quick=ground.quick, binaries=binaries("15"), encrypted=True) as encrypted:
        async with encrypted.database() as db:
            await db.run(*rows.PUBLISHED)
            figures = await wal.measured(db, 100, ground.size(100_000, 5_000), ground.size(3, 1))
        return [*figures, *await latency.measure(encrypted)]
