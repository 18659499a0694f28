"""Slot and checkpoint belong together: what happens when one is lost, given up, or somebody else's."""

from __future__ import annotations

from tests.acceptance.service import cdc, refused, running, started
from tests.acceptance.state import drop_slots
from tests.servers import Connect, Connection
from tests.waiting import eventually


async def test_a_slot_that_is_gone_is_not_made_anew_before_its_position_was_given_up(
    connect: Connect, database_url: str
) -> None:
    async with running(DATABASE_URL=database_url):
        pass
    conn = await connect(database_url)
    await drop_slots(conn)
    await refused(
        "run", code=65, says="is gone", hint="'cdc slot drop' gives up this position", DATABASE_URL=database_url
    )
    status = await cdc("slot", "status", DATABASE_URL=database_url)
    assert status.code == 0
    assert "there is none" in status.out

    dropped = await cdc("slot", "drop", "--yes", DATABASE_URL=database_url)
    assert (dropped.code, dropped.err) == (0, "")
    assert "is dropped. The next 'cdc run' makes it anew" in dropped.out
    async with running(DATABASE_URL=database_url) as service:
        await service.logs("source opened")


async def test_dropping_a_slot_needs_an_answer(database_url: str) -> None:
    done = await cdc("slot", "drop", DATABASE_URL=database_url)
    assert (done.code, done.err) == (1, "")
    assert "Nothing was changed." in done.out


async def test_a_slot_that_another_service_reads_is_waited_for_and_not_taken_from_it(
    connect: Connect, database_url: str
) -> None:
    conn = await connect(database_url)
    async with running(DATABASE_URL=database_url) as first, started(DATABASE_URL=database_url) as second:
        (waiting,) = await second.logs("standing by")
        assert "is in use" in waiting["reason"]
        await refused(
            "slot", "drop", "--yes", code=69, says="in use", hint="stop the other one", DATABASE_URL=database_url
        )

        before = await checkpoint(conn)
        await conn.execute("select pg_logical_emit_message(true, 'cdc', '{}')")

        async def accepted() -> bool:
            return await checkpoint(conn) != before

        await eventually(accepted, what="the first goes on to accept")
        assert first.process.returncode is None

        await first.stop()
        await second.logs("listening")
        await second.stop()


async def checkpoint(conn: Connection) -> tuple[str, ...] | None:
    return await (await conn.execute("select commit_lsn::text from cdc_state.checkpoints")).fetchone()
