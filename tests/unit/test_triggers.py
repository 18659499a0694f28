from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdc.authoring.triggers import (
    BACKFILLED,
    RETRIED,
    VERBS,
    EmbeddedTables,
    EventTrigger,
    Trigger,
    checked_event,
    embedded_tables,
    event_name,
    from_json,
    message_name,
    narrowed,
    parse_triggers,
    patterns_of,
    table_of,
    to_json,
)

letters = st.characters(exclude_categories=["Cs", "Z", "Cc"])
names = st.text(letters, min_size=1)
parts_of_names = st.text(st.characters(exclude_characters=".", exclude_categories=["Cs", "Z", "Cc"]), min_size=1)


@given(names, names, st.sampled_from(VERBS))
def test_the_name_of_a_row_event_names_its_table(schema: str, table: str, verb: str) -> None:
    event = event_name(schema, table, verb)
    assert table_of(event) == (schema, table)
    assert checked_event(event) == event


@given(names, names, names, names)
def test_tables_never_share_a_name(schema: str, table: str, other_schema: str, other_table: str) -> None:
    assume((schema, table) != (other_schema, other_table))
    assert event_name(schema, table, "inserted") != event_name(other_schema, other_table, "inserted")


@pytest.mark.parametrize(
    ("table", "event"),
    [
        (("public", "My Table"), "db/My Table.inserted"),
        (("public", "a.b"), 'db/"a.b".inserted'),
        (("a", "b"), "db/a.b.inserted"),
        (("v1.2", 'the "best"'), 'db/"v1.2"."the ""best""".inserted'),
        (("public", "*"), 'db/"*".inserted'),
        (("public", "message"), "db/message.inserted"),
    ],
)
def test_odd_names_are_quoted(table: tuple[str, str], event: str) -> None:
    assert event_name(*table, "inserted") == event
    assert EventTrigger(event).event == event


@pytest.mark.parametrize("event", ["db/message.paid", "db/message.orders/paid", "db/message.*", "db/message.orders.*"])
def test_messages_are_named_by_their_prefix(event: str) -> None:
    assert EventTrigger(event).event == event
    assert table_of(event) is None or event == "db/message.orders.*"
    assert message_name("orders.paid") == "db/message.orders.paid"
    assert "db/*" not in patterns_of("db/message.orders.paid")
    assert list(patterns_of("db/message.orders.paid")) == ["db/message.*", "db/message.orders.*"]


@pytest.mark.parametrize("prefix", ["", "cdc", "cdc.send", "inserted", "users.updated"])
def test_some_messages_are_not_events(prefix: str) -> None:
    assert message_name(prefix) is None


def test_a_table_may_be_called_message() -> None:
    assert table_of('db/"message".*') == ("public", "message")
    assert table_of("db/message.updated") == ("public", "message")


def test_the_schema_public_is_left_out() -> None:
    assert event_name("public", "users", "inserted") == "db/users.inserted"
    assert event_name("crm", "users", "inserted") == "db/crm.users.inserted"
    assert table_of("db/public.users.inserted") == table_of("db/users.inserted")


@pytest.mark.parametrize(
    "event", ["app/signed.up", "db/users", "db/users.vanished", "db/a.b.c.inserted", "db/.inserted"]
)
def test_other_names_speak_of_no_table(event: str) -> None:
    assert table_of(event) is None


@pytest.mark.parametrize("event", ["db/users", "db/users.vanished", "db/a.b.c.inserted", "db/.inserted", "db/"])
def test_a_row_event_that_can_never_come_is_refused_with_how_to_write_it(event: str) -> None:
    with pytest.raises(ValueError, match=r"write db/<table>\.<verb>.*inserted, updated, deleted, truncated"):
        EventTrigger(event)


@pytest.mark.parametrize("event", ["db/*", "db/users.*", "db/crm.users.*", "app/*", "app/user.*"])
def test_a_pattern_ends_in_a_star_after_a_slash_or_a_dot(event: str) -> None:
    assert EventTrigger(event).event == event


@pytest.mark.parametrize("event", ["*", "app*", "app/u*", "app/*.paid", "app/*/*", "db/us*.inserted"])
def test_a_star_elsewhere_is_refused(event: str) -> None:
    with pytest.raises(ValueError, match="is not a pattern"):
        EventTrigger(event)


@given(st.lists(parts_of_names, min_size=1, max_size=5), st.data())
def test_an_event_matches_just_the_patterns_that_it_begins_with(parts: list[str], data: st.DataObject) -> None:
    event = parts[0] + "".join(data.draw(st.sampled_from("/.")) + part for part in parts[1:])
    found = list(patterns_of(event))
    assert all(event.startswith(pattern[:-1]) and len(event) >= len(pattern) for pattern in found)
    assert len(found) == sum(letter in "/." for letter in event[:-1])


@pytest.mark.parametrize("verb", [BACKFILLED, RETRIED])
def test_no_pattern_takes_in_what_only_who_names_it_is_to_see(verb: str) -> None:
    assert list(patterns_of(event_name("public", "users", verb))) == []


@pytest.mark.parametrize("event", ["", " ", " app/paid", "app/paid\n"])
def test_a_name_that_nobody_can_see_is_refused(event: str) -> None:
    with pytest.raises(ValueError, match="empty or padded"):
        EventTrigger(event)


@pytest.mark.parametrize(
    ("on", "triggers"),
    [
        ("app/paid", (EventTrigger("app/paid"),)),
        (EventTrigger("app/paid"), (EventTrigger("app/paid"),)),
        (embedded_tables(), (EmbeddedTables(),)),
        (["db/a.inserted", embedded_tables()], (EventTrigger("db/a.inserted"), EmbeddedTables())),
    ],
)
def test_one_trigger_or_several_may_be_given(
    on: str | Trigger | list[str | Trigger], triggers: tuple[Trigger, ...]
) -> None:
    assert parse_triggers(on) == triggers


def test_no_trigger_is_too_few() -> None:
    with pytest.raises(ValueError, match="at least one trigger"):
        parse_triggers([])


@pytest.mark.parametrize("trigger", [EventTrigger("db/users.inserted"), EmbeddedTables()])
def test_a_trigger_survives_the_registry(trigger: Trigger) -> None:
    assert from_json(to_json(trigger)) == trigger


@pytest.mark.parametrize("columns", ["title", [""], ["title", 1]])
def test_columns_that_are_no_names_are_refused(columns: list[str]) -> None:
    with pytest.raises(ValueError, match="columns takes a list of names"):
        EventTrigger("db/users.updated", columns=columns)


@pytest.mark.parametrize("event", ["db/users.inserted", "db/users.deleted", "db/*", "app/user.updated", "app/*"])
def test_only_updates_of_one_table_are_narrowed_on_columns(event: str) -> None:
    with pytest.raises(ValueError, match=r"columns narrow db/<table>.updated, or db/<table>.\*"):
        EventTrigger(event, columns=["title"])
    with pytest.raises(ValueError, match="no trigger is"):
        narrowed([EventTrigger(event)], ["title"])


def test_columns_hold_for_the_updates_that_have_none_of_their_own() -> None:
    own = EventTrigger("db/users.updated", columns=["name"])
    others: list[Trigger] = [EventTrigger("db/users.inserted"), EventTrigger("app/a"), embedded_tables()]
    given = [own, EventTrigger("db/notes.updated"), EventTrigger("db/crm.deals.*"), *others]
    title = ("title", "body")
    assert narrowed(given, ["title", "body", "title"]) == (
        own,
        EventTrigger("db/notes.updated", columns=title),
        EventTrigger("db/crm.deals.*", columns=title),
        *others,
    )


@pytest.mark.parametrize("triggers", [[], [EventTrigger("db/users.updated", columns=["name"])]])
def test_columns_that_narrow_nothing_are_refused(triggers: list[Trigger]) -> None:
    with pytest.raises(ValueError, match="no trigger is"):
        narrowed(triggers, ["title"])
    with pytest.raises(ValueError, match="columns is empty"):
        narrowed([EventTrigger("db/users.updated")], [])


def test_the_columns_of_a_trigger_are_stored_with_it() -> None:
    trigger = EventTrigger("db/users.updated", if_exp="event.data.new.total > 1", columns=["total", "paid"])
    stored = to_json(trigger)
    assert stored == {"event": "db/users.updated", "if_exp": trigger.if_exp, "columns": ["total", "paid"]}
    assert from_json(stored) == trigger
    assert str(trigger) == "db/users.updated (total, paid)"
    assert "columns" not in to_json(EventTrigger("db/users.updated"))
