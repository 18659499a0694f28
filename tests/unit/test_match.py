from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from cdc import Batch, embedded_tables, function
from cdc.authoring.function import FlowControl
from cdc.authoring.triggers import EventTrigger, Trigger
from cdc.events.match import Changed, Registry, Table
from cdc.store.events import Incoming, NewRun

DOCUMENTS: Table = ("public", "documents")
NOTES: Table = ("crm", "notes")


def definition(id: str, *on: str | Trigger, batch: int | None = None) -> dict[str, Any]:
    """A function as the registry stores it."""

    options: FlowControl = {"batch_events": Batch(batch)} if batch else {}

    @function(id, on=on, **options)
    async def handler(ctx: object) -> None: ...

    return handler.definition()


def registry(*definitions: dict[str, Any], embedded: Sequence[Table] = ()) -> Registry:
    return Registry.of(1, definitions, frozenset(embedded))


def events(*names: str) -> list[Incoming]:
    return [Incoming(number.to_bytes(16, "big"), name, 0, b"{}", None) for number, name in enumerate(names)]


def runs(registry: Registry, incoming: Sequence[Incoming]) -> list[NewRun]:
    ids: Iterator[int] = iter(range(1 << 32))
    return registry.match(incoming, lambda: next(ids).to_bytes(16, "big")).runs


def told(registry: Registry, *names: str) -> list[tuple[str, list[int]]]:
    """The function of each run, and the places of its events."""
    found = runs(registry, events(*names))
    return [(run.function_id, [int.from_bytes(event_id, "big") for event_id in run.event_ids]) for run in found]


def test_an_event_starts_every_function_of_its_name_and_no_other() -> None:
    functions = registry(
        definition("greet", "db/users.inserted"),
        definition("bill", "db/users.inserted", "db/orders.inserted"),
        definition("forget", "db/users.deleted"),
    )
    assert told(functions, "db/users.inserted") == [("greet", [0]), ("bill", [0])]
    assert told(functions, "db/orders.inserted") == [("bill", [0])]
    assert told(functions, "db/crm.users.inserted", "db/users.updated", "greet") == []


def test_a_pattern_starts_its_function_once_for_each_event() -> None:
    functions = registry(
        definition("all", "app/*", "app/user.*", "app/user.created"),
        definition("users", "app/user.*"),
        definition("rows", "db/*", "db/users.*"),
    )
    assert told(functions, "app/user.created") == [("all", [0]), ("users", [0])]
    assert told(functions, "app/order.paid") == [("all", [0])]
    assert told(functions, "db/users.deleted", "db/orders.inserted") == [("rows", [0]), ("rows", [1])]
    assert told(functions, "app", "apple/x", "other/app/user.created") == []
    assert functions.tables == {("public", "users")}


def test_runs_come_in_the_order_of_their_events() -> None:
    functions = registry(definition("one", "a"), definition("two", "b"))
    assert told(functions, "b", "a", "b") == [("two", [0]), ("one", [1]), ("two", [2])]


def test_a_name_given_twice_starts_one_run() -> None:
    assert told(registry(definition("once", "a", "a")), "a") == [("once", [0])]


def test_a_batch_takes_events_of_all_its_names_until_it_is_full() -> None:
    functions = registry(definition("batch", "a", "b", batch=2), definition("each", "a"))
    assert told(functions, "a", "b", "a", "c", "b", "a") == [
        ("batch", [0, 1]),
        ("each", [0]),
        ("batch", [2, 4]),
        ("each", [2]),
        ("batch", [5]),
        ("each", [5]),
    ]


def test_a_function_of_embedded_tables_follows_each_change_of_each_of_them() -> None:
    functions = registry(definition("embed", embedded_tables()), embedded=[DOCUMENTS, NOTES])
    names = [
        f"db/{table}.{verb}"
        for table in ("documents", "crm.notes")
        for verb in ("inserted", "updated", "deleted", "truncated")
    ]
    assert told(functions, *names) == [("embed", [place]) for place in range(8)]
    assert told(functions, "db/notes.inserted", "db/public.documents.inserted", "db/users.inserted") == []


def test_without_an_embedded_table_nothing_is_followed() -> None:
    assert told(registry(definition("embed", embedded_tables())), "db/documents.inserted") == []


def test_a_table_that_is_embedded_and_named_starts_one_run() -> None:
    functions = registry(definition("both", "db/documents.inserted", embedded_tables()), embedded=[DOCUMENTS])
    assert told(functions, "db/documents.inserted") == [("both", [0])]


def test_the_tables_to_publish_are_those_named_and_those_embedded() -> None:
    functions = registry(
        definition("one", "db/users.inserted", "db/crm.deals.updated", "app/signed.up"),
        definition("two", "db/users.deleted"),
        embedded=[DOCUMENTS],
    )
    assert functions.tables == {("public", "users"), ("crm", "deals"), DOCUMENTS}


EVENT = b"an event's own id"[:16]


def started(registry: Registry, name: str, changed: Changed, new: dict[str, Any] | None = None) -> set[str]:
    """The functions that one event starts when its update changed these columns."""
    event = Incoming(EVENT, name, 0, orjson.dumps({"new": new or {}}), None)
    found = registry.match([event], lambda: b"r", changed)
    return {run.function_id for run in found.runs}


def test_a_trigger_with_columns_takes_the_updates_that_changed_one_of_them() -> None:
    functions = registry(
        definition("title", EventTrigger("db/notes.updated", columns=["title", "body"])),
        definition("all", EventTrigger("db/notes.*", columns=["title"])),
        definition("any", "db/notes.updated"),
    )
    assert started(functions, "db/notes.updated", {EVENT: {"title", "other"}}) == {"title", "all", "any"}
    assert started(functions, "db/notes.updated", {EVENT: {"body"}}) == {"title", "any"}
    assert started(functions, "db/notes.updated", {EVENT: set()}) == {"any"}
    assert started(functions, "db/notes.updated", {bytes(16): set()}) == {"title", "all", "any"}
    assert started(functions, "db/notes.inserted", {}) == {"all"}
    assert functions.narrowed == {("public", "notes"): {"title", "body"}}


def test_columns_and_conditions_must_both_be_met_by_one_trigger() -> None:
    functions = registry(
        definition("vip", EventTrigger("db/users.updated", match={"data.new.vip": True}, columns=["name"])),
        definition(
            "either",
            EventTrigger("db/users.updated", match={"data.new.vip": True}, columns=["name"]),
            EventTrigger("db/users.updated", columns=["email"]),
        ),
        definition("always", EventTrigger("db/users.updated", columns=["name"]), "db/users.updated"),
    )
    vip, plain = {"vip": True}, {"vip": False}
    assert started(functions, "db/users.updated", {EVENT: {"name"}}, vip) == {"vip", "either", "always"}
    assert started(functions, "db/users.updated", {EVENT: {"name"}}, plain) == {"always"}
    assert started(functions, "db/users.updated", {EVENT: {"email"}}, vip) == {"either", "always"}
    assert started(functions, "db/users.updated", {EVENT: {"other"}}, vip) == {"always"}


names = st.sampled_from("abcd")
definitions = st.lists(st.tuples(st.lists(names, min_size=1), st.none() | st.integers(1, 4)), max_size=4).map(
    lambda drawn: [definition(f"f{place}", *on, batch=batch) for place, (on, batch) in enumerate(drawn)]
)


@given(definitions, st.lists(names))
def test_each_event_is_in_one_run_of_each_function_it_starts(drawn: list[dict[str, Any]], came: list[str]) -> None:
    incoming = events(*came)
    found = runs(registry(*drawn), incoming)

    expected = {
        stored["id"]: [
            event.id for event in incoming if event.name in {trigger["event"] for trigger in stored["triggers"]}
        ]
        for stored in drawn
    }
    for stored in drawn:
        own = [run.event_ids for run in found if run.function_id == stored["id"]]
        assert list(chain.from_iterable(own)) == expected[stored["id"]]
        size = stored["flow"].get("batch_events", {"max_size": 1})["max_size"]
        assert all(len(ids) == size for ids in own[:-1])
        assert all(1 <= len(ids) <= size for ids in own[-1:])
    assert all(count == 1 for count in Counter(run.id for run in found).values())
    firsts = [run.event_ids[0] for run in found]
    assert firsts == sorted(firsts)
