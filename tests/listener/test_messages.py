"""Logical messages of the user's own: an outbox without a table."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from cdc import Context, faults, function
from cdc.lsn import Position, parse
from tests.listener.listening import Listening, open_listening, position, until_streaming
from tests.servers import Connect
from tests.waiting import eventually

T = "create table t (id int primary key)"


@function("paid", on="db/message.paid")
async def paid(ctx: Context) -> None: ...


@function("all", on="db/message.*")
async def every(ctx: Context) -> None: ...


@function("rows", on="db/*")
async def rows(ctx: Context) -> None: ...


def emit(prefix: str, content: str, *, transactional: bool = True) -> str:
    return f"select pg_logical_emit_message({transactional}, '{prefix}', {content})"


async def started(database: Listening, function_id: str) -> list[str]:
    query = "select event_ids[1]::text from cdc_state.runs where function_id = %s order by 1"
    return [event_id for (event_id,) in await database.rows(query, function_id)]


async def test_a_message_is_an_event_of_the_transaction_that_it_is_in(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(paid)
    async with database.listening():
        await database.run(
            "begin", "insert into t values (1)", emit("paid", "'{\"order\": 7}'"), "insert into t values (2)"
        )
        await database.run("commit", "begin", emit("paid", "'never'"), "rollback")
        await database.read_everything()
    before, event, after = await database.events()
    assert event.name == "db/message.paid"
    shared = ("source", "txn_id", "txn_commit_time", "lsn")
    assert event.data == {
        "prefix": "paid",
        "content": {"order": 7},
        "transactional": True,
        **{name: before.data[name] for name in shared},
    }
    assert event.ts == before.ts
    assert [position(each).ordinal for each in (before, event, after)] == [0, 1, 2]
    assert await started(database, "paid") == [event.id]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("'[1, 2.50, \"x\"]'", {"content": [1, 2.5, "x"]}),
        ('e\'{"a":\\n "b\\\\n"}\'', {"content": {"a": "b\n"}}),
        ("'null'", {"content": None}),
        ("''", {"content": ""}),
        ("'{\"half\": '", {"content": '{"half": '}),
        ("e'two\\nlines \\\\ \"quoted\"'", {"content": 'two\nlines \\ "quoted"'}),
        ("'\\x00ff'::bytea", {"content": "AP8=", "encoding": "base64"}),
        ("'\\x610062'::bytea", {"content": "a\0b"}),
    ],
)
async def test_its_content_is_json_or_text_or_bytes(
    migrated_url: str, connect: Connect, content: str, told: dict[str, object]
) -> None:
    database = await open_listening(migrated_url, connect, T)
    await database.register(every)
    async with database.listening():
        await database.run(emit("paid", content))
        await database.read_everything()
    (event,) = await database.events()
    given = {name: value for name, value in event.data.items() if name in ("content", "encoding")}
    assert given == told


async def test_messages_that_no_function_asks_for_are_not_stored(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(paid, rows)
    async with database.listening():
        await database.run(emit("heartbeat", "'x'"), emit("heartbeat", "'x'", transactional=False))
        # Ours, and one whose event would go by the name of a row's.
        await database.run(*(emit(prefix, "'x'") for prefix in ("", "cdc.other", "inserted", "t.inserted")))
        await database.run(emit("paid", "'x'"))
        await database.read_everything()
    (event,) = await database.events()
    assert event.name == "db/message.paid"
    assert len(await started(database, "rows")) == 1  # of read_everything


async def test_a_function_gets_every_message_that_is_sent_after_it_was_registered(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    async with database.listening():
        await database.run(emit("paid", "'before'"))
        await database.read_everything()
        await database.register(every)
        for transactional in (True, False):
            await database.run(emit("paid", "'after'", transactional=transactional))
        await database.read_everything()
    assert [event.data["content"] for event in await database.events()] == ["after", "after"]


async def test_a_message_outside_transactions_has_a_place_of_its_own_and_outlives_a_rollback(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(every)
    before = time.time_ns() // 1000
    async with database.listening():
        await database.run("begin", "insert into t values (1)")
        lsn = parse(await database.one("select pg_logical_emit_message(false, 'paid', 'now')::text"))
        await database.run("rollback")
        await database.run("select pg_switch_wal()")  # nothing else flushes it

        async def is_accepted() -> bool:
            return bool(await database.events())

        # It becomes durable, and is confirmed, though no transaction follows.
        await eventually(is_accepted)
        (event,) = await database.events()
        stands_at = position(event)
        await eventually(lambda: _has_confirmed(database, stands_at))
    assert stands_at.ordinal == 0
    assert stands_at.commit_lsn <= lsn
    assert event.data | {"lsn": None} == {
        "prefix": "paid",
        "content": "now",
        "transactional": False,
        "source": "default",
        "txn_id": None,
        "txn_commit_time": None,
        "lsn": None,
    }
    assert parse(event.data["lsn"]) == stands_at.commit_lsn
    assert before - 1_000_000 < event.ts < time.time_ns() // 1000 + 1_000_000


@pytest.mark.parametrize("died", ["accept.before_commit", "accept.committed"])
async def test_a_message_is_one_event_wherever_a_listener_dies(
    any_migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch, died: str
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(every)
    listener, streaming = await database.listener()
    life = await until_streaming(listener, streaming)
    with monkeypatch.context() as patch:
        patch.setattr(faults, "point", _dies_at(died))
        await database.run(emit("paid", "'1'", transactional=False), emit("paid", "'2'"))
        with pytest.raises(Died):
            await life
    await database.close_doors()

    async with database.listening():
        await database.run(emit("paid", "'3'", transactional=False))
        await database.read_everything()
    assert [event.data["content"] for event in await database.events()] == [1, 2, 3]


async def test_a_message_that_comes_again_after_the_checkpoint_was_set_back_is_passed_over(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(every)
    await database.attach()
    slot = database.watched.slot
    copy = "select pg_copy_logical_replication_slot(%s, %s)"
    await database.rows(copy, slot, f"{slot}_before")
    before = await database.rows("select commit_lsn, ordinal, end_lsn from cdc_state.checkpoints")
    async with database.listening():
        await database.run(emit("paid", "'1'", transactional=False), emit("paid", "'2'"))
        await database.read_everything()
    everything = await database.events(also_last=True)

    await database.rows(
        "update cdc_state.checkpoints set commit_lsn = %s, ordinal = %s, end_lsn = %s returning 1", *before[0]
    )
    await eventually(database.is_free)
    await database.rows("select pg_drop_replication_slot(%s)", slot)
    await database.rows(copy, f"{slot}_before", slot)
    async with database.listening():
        await database.read_everything()
    assert (await database.events(also_last=True))[:-1] == everything


class Died(Exception):
    """In the place of SIGKILL."""


def _dies_at(name: str) -> Callable[[str], None]:
    def point(reached: str) -> None:
        if reached == name:
            raise Died

    return point


async def _has_confirmed(database: Listening, stands_at: Position) -> bool:
    return await database.confirmed() > stands_at.commit_lsn
