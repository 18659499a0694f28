"""The table that changes, and transactions on it."""

from __future__ import annotations

from tests.benchmarks.ground import Database

TABLE = """
create table rows (
    id         bigint generated always as identity primary key,
    amount     integer not null,
    body       text not null,
    meta       jsonb not null,
    created_at timestamptz not null default clock_timestamp()
)
"""

PUBLISHED = (TABLE, "create publication cdc for table rows")
"""Published beforehand, by the name that the service uses: a slot sees only what was published before it."""

_LOAD = """
create or replace procedure load(transactions integer, size integer) language plpgsql as $$
begin
    for n in 1 .. transactions loop
        insert into rows (amount, body, meta)
        select i % 1000, repeat(md5((n * size + i)::text), 3), jsonb_build_object('kind', 'measured', 'n', i)
          from generate_series(1, size) i;
        commit;
    end loop;
end
$$
"""


async def load(db: Database, *, transactions: int, size: int) -> None:
    """Insert rows of about 200 bytes, `size` in each transaction."""
    await db.run(
        _LOAD, "set synchronous_commit = off", f"call load({transactions}, {size})", "reset synchronous_commit"
    )
