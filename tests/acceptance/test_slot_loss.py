"""A slot that is lost under a running service, or while it was away."""

from __future__ import annotations

from tests.acceptance.service import Settings, cdc, running
from tests.acceptance.state import drop_slots, follows
from tests.servers import Connect, Connection
from tests.waiting import eventually

NOTES = "create table notes (id bigint primary key, body text)"

LOSE = """
    do $$
    begin
        for i in 1..30000 loop
            begin
                perform pg_terminate_backend(active_pid)
                   from pg_replication_slots where database = current_database() and active_pid > 0;
                perform pg_drop_replication_slot(slot_name)
                   from pg_replication_slots where database = current_database();
                return;
            exception when object_in_use then
                perform pg_sleep(0.001);
            end;
        end loop;
        raise 'the slot is still in use';
    end $$
"""
"""Drop the slot before its reader has come back."""


async def embedded(conn: Connection) -> dict[int, bytes]:
    """The hash of what is embedded of each note."""
    return dict(await (await conn.execute("select id, hash from notes_embeddings")).fetchall())


async def test_a_service_makes_a_lost_slot_anew_and_embeds_what_changed_meanwhile(
    connect: Connect, database_url: str
) -> None:
    conn = await connect(database_url)
    await conn.execute(NOTES)
    settings: Settings = {
        "DATABASE_URL": database_url,
        "CDC_EMBED": "notes(body)",
        "CDC_EMBED_MODEL": "local-fast/wordllama",
        "CDC_ON_SLOT_LOSS": "recreate",
    }
    async with running(**settings) as service:
        await follows(conn, "notes")
        await conn.execute("insert into notes values (1, 'one'), (2, 'two')")

        async def both_are() -> dict[int, bytes]:
            found = await embedded(conn)
            return found if len(found) == 2 else {}

        before = await eventually(both_are, what="both are embedded")
        await service.stop()
    await drop_slots(conn)
    await conn.execute("update notes set body = 'changed' where id = 1")
    await conn.execute("insert into notes values (3, 'three')")
    async with running(**settings) as service:
        (told,) = await service.logs("changes were lost")
        assert told["level"] == "error"

        async def all_are() -> bool:
            found = await embedded(conn)
            return found.keys() == {1, 2, 3} and found[1] != before[1] and found[2] == before[2]

        await eventually(all_are, what="what changed meanwhile is embedded")
        (gap,) = (await service.get("/v1/status")).json()["gaps"]
        assert {name: gap[name] for name in ("from_lsn", "to_lsn")} == {
            name: told[name] for name in ("from_lsn", "to_lsn")
        }
        shown = await cdc("slot", "status", DATABASE_URL=database_url)
        assert f"from {gap['from_lsn']}" in shown.out

        await conn.execute(LOSE)
        await service.logs("changes were lost", times=2)
        await service.logs("listening", times=2)
        await conn.execute("insert into notes values (4, 'four')")

        async def is_embedded() -> bool:
            return 4 in await embedded(conn)

        await eventually(is_embedded, what="the service goes on")
        await service.stop()


async def test_a_service_whose_slot_is_dropped_while_it_runs_stops_and_says_so(
    connect: Connect, database_url: str
) -> None:
    conn = await connect(database_url)
    async with running(DATABASE_URL=database_url) as service:
        await conn.execute(LOSE)
        assert await service.ended() == 65
        assert "is gone" in service.output
        assert "CDC_ON_SLOT_LOSS=recreate" in service.output
