"""What a database saw of a service that was killed: kept by triggers, so that no crash of the service can hide it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any, LiteralString

from tests.acceptance.service import Settings
from tests.servers import Connection
from tests.waiting import eventually

WATCH = """
    create table bodies (run_id uuid not null, step text not null, began_at timestamptz not null);
    create table completions (run_id uuid not null);
    create table recomputed (run_id uuid not null, step text not null);

    create function note_completion() returns trigger language plpgsql as $$
    begin
        insert into completions values (new.id);
        return null;
    end $$;
    create trigger note_completion after update on cdc_state.runs
        for each row when (new.status = 'completed') execute function note_completion();

    -- Before the journal's ON CONFLICT, which would pass over a second result.
    create function note_recomputed() returns trigger language plpgsql as $$
    begin
        insert into recomputed
        select s.run_id, s.id from cdc_state.steps s
         where (s.run_id, s.id) = (new.run_id, new.id) and s.ended_at is not null;
        return new;
    end $$;
    create trigger note_recomputed before insert on cdc_state.steps
        for each row execute function note_recomputed();
"""

ROWS = "create table rows (id bigint generated always as identity primary key, note text)"

THREE_STEPS = """
    import asyncio, os, time
    from pathlib import Path
    from cdc import Batch, Context, function
    from psycopg_pool import AsyncConnectionPool

    GATE = Path(os.environ["GATE"]) if "GATE" in os.environ else None

    # The ledger is not to miss what a service does whose network is cut.
    LEDGER = AsyncConnectionPool(
        os.environ["LEDGER_URL"], min_size=1, max_size=8, open=False, check=AsyncConnectionPool.check_connection
    )

    @function("three-steps", on="db/{table}.inserted", batch_events=Batch({batch}), retries=10)
    async def three_steps(ctx: Context) -> list[str]:
        async def body(step: str) -> str:
            began = time.time()
            await LEDGER.open()
            async with LEDGER.connection() as conn:
                await conn.execute(
                    "insert into public.bodies values (%s, %s, to_timestamp(%s))", [ctx.run_id, step, began]
                )
            while step == "b" and GATE and not GATE.exists():
                await asyncio.sleep(0.05)
            await asyncio.sleep({pause})
            return step

        return [await ctx.step.run(step, body, step) for step in ("a", "b", "c")]
"""
"""Its bodies leave a row outside of what the service keeps. Where there is a GATE, the second one ends when that file
is there: what is to happen in the middle of the work does.
"""

STEPS = ("a", "b", "c")


def write_function(folder: Path, url: str, table: str, *, batch: int = 1, pause: float = 0) -> Settings:
    """The settings of a service on `url` with the function THREE_STEPS, whose bodies take `pause` seconds."""
    folder.mkdir()
    (folder / "three_steps.py").write_text(dedent(THREE_STEPS.format(table=table, batch=batch, pause=pause)))
    return {"DATABASE_URL": url, "LEDGER_URL": url, "CDC_FUNCTIONS": folder}


@dataclass
class Ledger:
    """Questions to the database, and what must be true when all is done."""

    connection: Connection

    async def rows(self, query: str, *values: object) -> Sequence[tuple[Any, ...]]:
        return await (await self.connection.execute(query.encode(), values or None)).fetchall()

    async def one(self, query: str, *values: object) -> Any:
        ((value,),) = await self.rows(query, *values)
        return value

    async def insert(self, count: int) -> None:
        """So many rows in one transaction, into the table of ROWS."""
        await self.rows("insert into rows (note) select 'row' from generate_series(1, %s) returning 1", count)

    async def work_is_under_way(self, bodies: int) -> None:
        """Returns once so many second steps have begun."""

        async def has_begun() -> bool:
            return int(await self.one("select count(*) from bodies where step = 'b'")) >= bodies

        await eventually(has_begun, within=60)

    async def events(self) -> int:
        return int(await self.one("select count(*) from cdc_state.events"))

    async def everything_is_done(self, events: int, *, within: float) -> None:
        """Returns once so many events are stored and no run is unfinished."""

        async def is_done() -> bool:
            unfinished = "select count(*) from cdc_state.runs where status <> 'completed'"
            return await self.events() >= events and await self.one(unfinished) == 0

        await eventually(is_done, within=within, what=f"{events} events are stored and all runs completed")

    async def repeated_bodies(self) -> dict[tuple[str, str], int]:
        """Steps of the function whose body began more than once, and how often."""
        found = await self.rows("select run_id::text, step, count(*) from bodies group by 1, 2 having count(*) > 1")
        return {(run_id, step): times for run_id, step, times in found}

    async def each_row_is_an_event(self) -> None:
        """All of the table ROWS, and nothing else."""
        told = await self.rows("select (data -> 'new' ->> 'id')::bigint from cdc_state.events order by 1")
        assert told == await self.rows("select id from rows order by 1")

    async def check(self, *, answers_lost: bool = False) -> None:
        """Each event in one run of each function, each run completed once, nothing recorded computed again.

        Where the answers to commits were lost, the journal rightly sends again what is recorded already; that no body
        began after its step was recorded is then seen by the clock alone.
        """
        assert await self.rows("select * from cdc_state.rejected_events") == []
        taken = await self.rows("select function_id, unnest(event_ids) from cdc_state.runs")
        assert [pair for pair, times in Counter(taken).items() if times > 1] == []
        functions = await self.one("select count(distinct function_id) from cdc_state.runs")
        assert functions > 0

        completions = dict(await self.rows("select run_id, count(*) from completions group by 1"))
        assert completions == dict.fromkeys((id_ for (id_,) in await self.rows("select id from cdc_state.runs")), 1)

        if not answers_lost:
            assert await self.rows("select * from recomputed") == []
        again = await self.rows(
            "select b.run_id, b.step from bodies b"
            " join cdc_state.steps s on (s.run_id, s.id) = (b.run_id, b.step) where b.began_at > s.ended_at"
        )
        assert again == [], "a body began after its result had been recorded"
        assert await self.rows("select run_id, id from cdc_state.steps where ended_at is null") == []

        outputs = await self.rows("select output from cdc_state.runs where function_id = 'three-steps'")
        assert all(output == list(STEPS) for (output,) in outputs)
        steps = await self.rows("select run_id, step from bodies group by 1, 2")
        assert len(steps) == len(STEPS) * len(outputs)


async def open_ledger(connection: Connection) -> Ledger:
    """For a migrated database, which gets a table of rows."""
    await connection.execute(WATCH)
    await connection.execute(ROWS)
    return Ledger(connection)


def held_at(event: LiteralString) -> LiteralString:
    """SQL with which a transaction that fires a trigger on this event waits there for whoever has the lock 1."""
    return f"""
        create function hold() returns trigger language plpgsql as $$
        begin
            perform pg_advisory_xact_lock_shared(1);
            return null;
        end $$;
        create trigger hold after {event} execute function hold();
    """
