"""Row events are sent on to a cluster: all of them, in their order, whatever becomes of the cluster or of us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from uuid import UUID

import orjson
import pytest

from cdc.cluster import event_api
from cdc.cluster.event_api import EventApi, Target
from cdc.cluster.forwarding import Forwarder
from cdc.errors import ListenerFenced
from cdc.events import ids
from cdc.events.accept import Also, Door
from cdc.lsn import Position
from cdc.store import checkpoints, forwards, history
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from tests.cluster.receiver import Receiver, receiving
from tests.engine.harness import Engine
from tests.servers import Connect
from tests.waiting import eventually


class Bed:
    """A state database with a source, a cluster's event API, and forwarders between them."""

    def __init__(self, url: str, conn: Connection, receiver: Receiver, stack: AsyncExitStack, connect: Connect) -> None:
        self.url = url
        self.conn = conn
        self.receiver = receiver
        self.engine = Engine(url, conn)
        self._stack = stack
        self._connect = connect

    async def connect(self) -> Connection:
        return await self._connect(self.url)

    def forwarder(self, **options: float) -> Forwarder:
        made = Forwarder(self.connect, EventApi(Target(self.receiver.url, "ek")), **options)
        self._stack.push_async_callback(made.close)
        return made

    async def insert(self, *numbers: int, name: str = "db/users.inserted", pad: str = "") -> list[str]:
        sent = await self.engine.send(name, *({"id": number, "pad": pad} for number in numbers))
        return [str(UUID(id_)) for id_ in sent]

    async def standing(self) -> forwards.Standing:
        (found,) = await forwards.standing(self.conn)
        return found


@pytest.fixture
async def bed(migrated_url: str, connect: Connect) -> AsyncIterator[Bed]:
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving())
        yield Bed(migrated_url, await connect(migrated_url), receiver, stack, connect)


async def test_it_begins_where_it_is_switched_on_and_goes_on_where_it_was(bed: Bed) -> None:
    await bed.insert(1, 2)
    first = bed.forwarder()
    await first.begin()
    sent = await bed.insert(3)
    message = await bed.insert(4, name="db/message.orders")
    await bed.insert(5, name="app/of.ones.own")
    await first.forward(bed.conn)
    while_it_is_down = await bed.insert(6)
    await first.close()
    second = bed.forwarder()
    await second.begin()
    await second.forward(bed.conn)

    assert bed.receiver.ids == [*sent, *message, *while_it_is_down]
    assert set(bed.receiver.keys) == {"ek"}
    event = bed.receiver.events[0]
    assert event == {
        "id": sent[0],
        "name": "db/users.inserted",
        "ts": 1_750_000_000_000,
        "data": {"new": {"id": 3, "pad": ""}, "old": None, "unchanged": []},
    }
    assert (await bed.standing()).sent == 3


async def test_a_source_that_is_opened_later_is_sent_on_from_its_first_event(bed: Bed) -> None:
    forwarder = bed.forwarder()
    await forwarder.begin()
    sent = await bed.insert(1)
    await forwarder.forward(bed.conn)
    await checkpoints.retire_source(bed.conn, "default")
    bed.engine.forget_checkpoint()
    again = await bed.insert(2)
    await forwarder.forward(bed.conn)

    assert bed.receiver.ids == [*sent, *again]


async def test_a_listener_that_is_overtaken_neither_hides_events_nor_doubles_them(bed: Bed) -> None:
    """One accept is open while another listener takes over; what is sent on meanwhile passes nothing."""
    forwarder = bed.forwarder()
    await forwarder.begin()
    sent = await bed.insert(1)
    before = await bed.engine.checkpoint()
    old, new = Door(await bed.connect()), Door(await bed.connect())
    opened, close = asyncio.Event(), asyncio.Event()

    async def hold(conn: Connection) -> None:
        opened.set()
        await close.wait()

    def events(lsn: int) -> list[Incoming]:
        position = Position(lsn, 0)
        return [Incoming(ids.of_position(before.source_id, position), "db/users.inserted", 0, b'{"new":{}}', position)]

    first, later = events(10_000), events(20_000)
    accepting = asyncio.create_task(old.accept(first, before, before.moved(Position(10_000, 0), 10_000), Also(hold)))
    await opened.wait()
    overtaking = asyncio.create_task(new.take_over(before))
    await forwarder.forward(bed.conn)
    assert bed.receiver.ids == sent
    close.set()
    await accepting
    taken = await overtaking
    assert taken.position == Position(10_000, 0), "what the old one accepted counts"
    await new.accept(later, taken, taken.moved(Position(20_000, 0), 20_000))
    with pytest.raises(ListenerFenced):
        await old.accept(events(15_000), before, before.moved(Position(15_000, 0), 15_000))
    await forwarder.forward(bed.conn)

    assert bed.receiver.ids == [*sent, *(str(UUID(bytes=event.id)) for event in (*first, *later))]


async def test_a_cluster_that_is_away_gets_everything_later_in_order(bed: Bed) -> None:
    forwarder = bed.forwarder()
    await forwarder.begin()
    sent = await bed.insert(1)
    bed.receiver.status, bed.receiver.retry_after = 503, "7"
    await forwarder.forward(bed.conn)
    standing = await bed.standing()
    assert standing.error is not None
    assert "503" in standing.error
    assert forwarder.pause == 7.0
    sent += await bed.insert(2, 3)
    ((source, waiting, age),) = await forwarder.measure(bed.conn)
    assert (source, waiting) == ("default", 3)
    assert 0 < age < 60
    nowhere = Forwarder(bed.connect, EventApi(Target("http://127.0.0.1:1", "ek")))
    await nowhere.forward(bed.conn)
    await nowhere.close()
    assert (await bed.standing()).error == "ClientConnectorError: it cannot be reached"
    bed.receiver.status = 200
    await forwarder.forward(bed.conn)

    assert bed.receiver.ids == sent
    assert (await bed.standing()).error is None
    assert await forwarder.measure(bed.conn) == [("default", 0, 0.0)]


@pytest.mark.parametrize("tells_taken", [True, False], ids=["tells how many it took", "tells nothing"])
async def test_an_event_that_the_cluster_refuses_is_passed_alone(bed: Bed, *, tells_taken: bool) -> None:
    forwarder = bed.forwarder()
    await forwarder.begin()
    sent = await bed.insert(*range(20))
    bed.receiver.refuses, bed.receiver.tells_taken = {sent[7], sent[13]}, tells_taken
    await forwarder.forward(bed.conn)

    assert bed.receiver.ids == [id_ for id_ in sent if id_ not in bed.receiver.refuses]
    standing = await bed.standing()
    assert (standing.sent, standing.refused) == (18, 2)


async def test_a_cluster_that_refuses_everything_is_not_given_everything_up_for(bed: Bed) -> None:
    forwarder = bed.forwarder()
    await forwarder.begin()
    bed.receiver.status = 400
    await bed.insert(*range(40))
    await forwarder.forward(bed.conn)
    await forwarder.forward(bed.conn)

    standing = await bed.standing()
    assert standing.refused == 21
    assert forwarder.pause >= 60.0
    bed.receiver.status = 200
    await forwarder.forward(bed.conn)
    assert len(bed.receiver.ids) == 19


async def test_requests_are_compressed_unless_the_cluster_cannot_read_that(bed: Bed) -> None:
    forwarder = bed.forwarder()
    await forwarder.begin()
    await bed.insert(1, pad="x" * 5000)
    await forwarder.forward(bed.conn)
    bed.receiver.reads_gzip = False
    plain = bed.forwarder()
    await forwarder.close()
    await bed.insert(2, pad="x" * 5000)
    await plain.forward(bed.conn)
    await bed.insert(3, pad="x" * 5000)
    await plain.forward(bed.conn)

    assert bed.receiver.encodings == ["gzip", "", ""]
    assert bed.receiver.asked == 4


async def test_a_request_has_a_thousand_events_and_half_a_megabyte_at_most(bed: Bed) -> None:
    forwarder = bed.forwarder()
    await forwarder.begin()
    sent = await bed.insert(*range(1500))
    sent += await bed.insert(*range(3), pad="é" * 150_000)
    sent += await bed.insert(9, pad="x" * 700_000)
    await forwarder.forward(bed.conn)

    assert bed.receiver.ids == sent
    assert len(bed.receiver.requests[0]) == event_api.MOST_EVENTS
    sizes = [len(orjson.dumps(request)) for request in bed.receiver.requests]
    assert all(size <= event_api.MOST_BYTES for size in sizes[:-1])
    assert len(bed.receiver.requests[-1]) == 1


async def test_one_service_sends_at_a_time_and_another_goes_on_when_it_is_gone(bed: Bed) -> None:
    first, second = bed.forwarder(), bed.forwarder()
    await first.begin()
    sent = await bed.insert(1)
    bed.receiver.held = asyncio.Event()
    sending = asyncio.create_task(first.forward(await bed.connect()))
    await eventually(lambda: bed.receiver.asked == 1)
    await second.forward(bed.conn)
    assert bed.receiver.asked == 1
    await bed.conn.execute("update cdc_state.forwards set held_until = now() - interval '1 s'")
    overtaking = asyncio.create_task(second.forward(bed.conn))
    await eventually(lambda: bed.receiver.asked == 2)
    bed.receiver.held.set()
    await asyncio.gather(sending, overtaking)

    assert set(bed.receiver.ids) == set(sent)
    assert (await bed.standing()).sent == 1, "the one that was overtaken writes nothing"


async def test_what_is_deleted_by_age_before_it_was_sent_is_counted_and_said(
    bed: Bed, capsys: pytest.CaptureFixture[str]
) -> None:
    forwarder = bed.forwarder()
    await forwarder.begin()
    await bed.insert(1, 2)
    await forwarder.forward(bed.conn)
    gone = await bed.insert(3, 4, 5)
    assert await history.drop_events(bed.conn, [*bed.receiver.ids, *gone]) == 5
    await forwarder.forward(bed.conn)

    assert (await bed.standing()).lost == 3
    assert "deleted by age" in capsys.readouterr().out


async def test_a_wake_up_has_what_was_accepted_sent_at_once(bed: Bed) -> None:
    forwarder = bed.forwarder(poll=3600.0)
    await forwarder.begin()
    forwarding = asyncio.create_task(forwarder.forward_forever(bed.connect))
    try:
        sent: list[str] = []
        for number in range(3):
            sent += await bed.insert(number)
            forwarder.wake()
            await eventually(partial(_has, bed.receiver, len(sent)))
    finally:
        forwarding.cancel()
    assert bed.receiver.ids == sent


def _has(receiver: Receiver, count: int) -> bool:
    return len(receiver.ids) == count
