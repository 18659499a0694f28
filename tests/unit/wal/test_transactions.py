from __future__ import annotations

import itertools
from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import ProtocolError
from cdc.lsn import Position
from cdc.wal.transactions import Change, Committed, Header, Item, Message, Transactions
from tests.servers import EVERY_VERSION
from tests.unit.wal import wire
from tests.unit.wal.record import STORY, story
from tests.unit.wal.wire import NULL, POSTGRES_EPOCH_SECONDS, recorded

START = Position(0, -1)
USERS = wire.table(id=20, name=25)
LOGS = wire.table("logs", oid=16400, identity="f", id=20, name=25)
RELATIONS = [wire.relation(USERS), wire.relation(LOGS)]


def feed(payloads: Sequence[bytes], resume_after: Position = START) -> list[Item]:
    return Transactions(resume_after).feed(payloads)


ROWS = st.sampled_from(
    [
        wire.insert(USERS.oid, ["1", "x"]),
        wire.update(USERS.oid, ["1", NULL]),
        wire.update(LOGS.oid, ["1", "y"], old=["1", "x"]),
        wire.delete(USERS.oid, key=["1", NULL]),
        wire.truncate([USERS.oid, LOGS.oid]),
        wire.truncate([LOGS.oid]),
        wire.message("cdc", b"in"),
        wire.relation(USERS),
        wire.type_(16500, "public", "mood"),
    ]
)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Transactions in commit order, with messages in between."""
    payloads = list(RELATIONS)
    lsn = 0
    for _ in range(draw(st.integers(0, 5))):
        lsn += draw(st.integers(1, 3)) * 100
        payloads += draw(st.lists(st.just(wire.message("cdc", b"out", lsn=lsn - 50, transactional=False)), max_size=1))
        payloads += [wire.begin(lsn), *draw(st.lists(ROWS, max_size=6)), wire.commit(lsn)]
    return payloads


def skippable(item: Item) -> bool:
    return isinstance(item, Change) or (isinstance(item, Message) and item.header is not None)


@given(streams(), st.data())
def test_resuming_after_a_position_yields_exactly_the_changes_after_it(
    payloads: list[bytes], data: st.DataObject
) -> None:
    everything = feed(payloads)
    positions = [item.position for item in everything if isinstance(item, Change | Message)]
    between = st.builds(Position, st.integers(0, 1600), st.integers(-1, 8))
    resume_after = data.draw(st.one_of(st.sampled_from(positions), between) if positions else between)

    resumed = feed(payloads, resume_after)

    def wanted(item: Item) -> bool:
        return not skippable(item) or (isinstance(item, Change | Message) and item.position > resume_after)

    assert resumed == [item for item in everything if wanted(item)]


@given(streams(), st.lists(st.integers(0, 40)))
def test_it_does_not_matter_how_the_stream_is_cut(payloads: list[bytes], cuts: list[int]) -> None:
    transactions = Transactions(START)
    items: list[Item] = []
    edges = [0, *sorted(min(cut, len(payloads)) for cut in cuts), len(payloads)]
    for start, end in itertools.pairwise(edges):
        items += transactions.feed(payloads[start:end])
    assert items == feed(payloads)


@given(streams())
def test_positions_grow_and_number_each_transaction_from_zero(payloads: list[bytes]) -> None:
    changes = [item for item in feed(payloads) if isinstance(item, Change | Message) and item.header]
    assert all(one.position < next_.position for one, next_ in itertools.pairwise(changes))
    for lsn in {change.position.commit_lsn for change in changes}:
        ordinals = [change.position.ordinal for change in changes if change.position.commit_lsn == lsn]
        assert ordinals == list(range(len(ordinals)))


def test_a_change_carries_its_transaction_and_its_table() -> None:
    begin = wire.begin(100, xid=42, unix_seconds=POSTGRES_EPOCH_SECONDS + 5)
    items = feed([*RELATIONS, begin, wire.insert(USERS.oid, ["1", "x"]), wire.commit(100, 108)])
    header = Header(100, (POSTGRES_EPOCH_SECONDS + 5) * 1_000_000, 42)
    row = {"id": 1, "name": "x"}
    assert items == [Change(Position(100, 0), header, USERS, "inserted", row, None, ()), Committed(100, 108)]


def test_a_truncate_is_one_change_for_each_table() -> None:
    items = feed([*RELATIONS, wire.begin(100), wire.truncate([USERS.oid, LOGS.oid]), wire.commit(100)])
    changes = [item for item in items if isinstance(item, Change)]
    assert [(change.position.ordinal, change.relation, change.verb) for change in changes] == [
        (0, USERS, "truncated"),
        (1, LOGS, "truncated"),
    ]


def test_a_truncate_that_was_half_accepted_goes_on_with_its_second_table() -> None:
    payloads = [*RELATIONS, wire.begin(100), wire.truncate([USERS.oid, LOGS.oid]), wire.commit(100)]
    change, _ = feed(payloads, Position(100, 0))
    assert isinstance(change, Change)
    assert change.relation == LOGS


def test_a_message_outside_transactions_stands_at_its_own_lsn_and_is_never_skipped() -> None:
    payload = wire.message("cdc", b"{}", lsn=55, transactional=False)
    assert feed([payload], Position(1000, 0)) == [Message(Position(55, 0), None, "cdc", b"{}")]


def test_a_skipped_transaction_still_says_that_it_was_committed() -> None:
    payloads = [*RELATIONS, wire.begin(100), wire.insert(USERS.oid, ["1", "x"]), wire.commit(100, 108)]
    assert feed(payloads, Position(100, 0)) == [Committed(100, 108)]
    assert feed(payloads, Position(101, -1)) == [Committed(100, 108)]


def test_it_is_in_flight_from_begin_to_commit() -> None:
    transactions = Transactions(START)
    states = []
    for payload in [*RELATIONS, wire.begin(100), wire.insert(USERS.oid, ["1", "x"]), wire.commit(100)]:
        transactions.feed([payload])
        states.append(transactions.in_flight)
    assert states == [False, False, True, True, False]


@pytest.mark.parametrize(
    "payloads",
    [
        [wire.begin(100), wire.begin(200)],
        [wire.commit(100)],
        [wire.begin(100), wire.commit(200)],
        [wire.insert(USERS.oid, ["1", "x"])],
        [wire.truncate([USERS.oid])],
        [wire.message("cdc", b"")],
    ],
    ids=["begin in a transaction", "commit alone", "commit of another", "row alone", "truncate alone", "message alone"],
)
def test_a_message_where_it_must_not_stand_is_a_protocol_error(payloads: list[bytes]) -> None:
    with pytest.raises(ProtocolError):
        feed([*RELATIONS, *payloads])


@pytest.mark.parametrize("version", EVERY_VERSION)
def test_real_servers_tell_the_story_of_the_scenario(version: str) -> None:
    assert story(feed(recorded(version))) == orjson.loads(STORY.read_bytes())


@pytest.mark.parametrize("version", EVERY_VERSION)
def test_a_real_stream_can_be_resumed_after_any_of_its_changes(version: str) -> None:
    payloads = recorded(version)
    changes = [item for item in feed(payloads) if skippable(item)]
    for number, change in enumerate(changes, 1):
        assert isinstance(change, Change | Message)
        resumed = [item for item in feed(payloads, change.position) if skippable(item)]
        assert story(resumed) == story(changes[number:])
        assert [item[:2] for item in resumed] == [item[:2] for item in changes[number:]]
