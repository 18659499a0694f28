"""CDC_TABLES, CDC_EXCLUDE and CDC_FILTER: what can be written, and what is said about the rest."""

from __future__ import annotations

import pytest

from cdc.errors import ConfigurationError
from cdc.store.selection import Restriction, Selection, parse


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("", set()),
        ("users", {("public", "users")}),
        (' Users , public."Order ""Lines""" ', {("public", "users"), ("public", 'Order "Lines"')}),
        ("audit.*, *,", {("audit", "*"), ("*", "*")}),
    ],
)
def test_tables(text: str, tables: set[tuple[str, str]]) -> None:
    assert parse(tables=text).tables == tables


def test_patterns_mean_tables_and_never_our_own() -> None:
    selection = parse(tables="users, audit.*")
    assert selection.named == {("public", "users")}
    assert selection.matches(("audit", "log"))
    assert not selection.matches(("public", "users"))
    everything = parse(tables="*")
    assert everything.everything
    assert everything.matches(("any", "table"))
    for schema in ("cdc", "cdc_state", "pg_catalog", "information_schema"):
        assert not everything.matches((schema, "runs"))
        with pytest.raises(ConfigurationError, match="never published"):
            parse(tables=f"{schema}.*")


def test_columns_are_left_out_and_whole_tables() -> None:
    selection = parse(exclude='users(password_hash, "SSN"); audit.log(body);; secrets; private.*; users(pin)')
    assert selection.restrictions == {
        ("public", "users"): Restriction(frozenset({"password_hash", "SSN", "pin"})),
        ("audit", "log"): Restriction(frozenset({"body"})),
    }
    assert selection.excludes([("public", "secrets")])
    assert selection.excludes([("private", "anything")])
    assert not selection.excludes([("public", "users")])


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("orders: status = 'paid'", "status = 'paid'"),
        ("public.orders : status = 'a;b' ;", "status = 'a;b'"),
        ("orders: status in ('(', ')')", "status in ('(', ')')"),
        ("orders: note = $x$ ; ) $x$ and (id > 3)", "note = $x$ ; ) $x$ and (id > 3)"),
        ('orders: "a;b" is null', '"a;b" is null'),
        ("orders: note <> e'\\';'", "note <> e'\\';'"),
        ("orders: note <> '\\'; users: id = 1", "note <> '\\'"),
        ("orders: id > 3 -- not ( ;\n", "id > 3 -- not ( ;"),
        ("orders: id > /* ) ; */ 3", "id > /* ) ; */ 3"),
    ],
)
def test_a_condition_ends_at_a_semicolon_of_the_setting_s_own(text: str, condition: str) -> None:
    assert parse(filters=text).restrictions["public", "orders"] == Restriction(filter=condition)


def test_several_conditions() -> None:
    selection = parse(filters="orders: id > 3; s.users: deleted_at is null", exclude="orders(note)")
    assert selection.restrictions == {
        ("public", "orders"): Restriction(frozenset({"note"}), "id > 3"),
        ("s", "users"): Restriction(filter="deleted_at is null"),
    }


def test_a_partition_is_restricted_by_what_holds_for_its_table_too() -> None:
    selection = parse(exclude="root(a); part(b)", filters="root: x > 1; part: y > 1 -- all")
    both = selection.restriction([("public", "part"), ("public", "root")])
    assert both == Restriction(frozenset({"a", "b"}), "(y > 1 -- all\n) and (x > 1\n)")
    assert selection.restriction([("public", "other")]) == Restriction()


@pytest.mark.parametrize(
    ("setting", "text", "says"),
    [
        ("tables", "users orders", "CDC_TABLES cannot be read at character 7: expected ',', found 'orders'"),
        ("tables", "users(a)", "CDC_TABLES cannot be read at character 6: expected ',', found '('"),
        ("tables", "users; drop", "expected ',', found ';'"),
        ("tables", "a.b.c", "expected ',', found '.'"),
        ("tables", "us%", "CDC_TABLES cannot be read at character 3: expected a name or one of"),
        ("exclude", "*", "CDC_EXCLUDE cannot be read at character 1: expected a table name, found '*'"),
        ("exclude", "users()", "expected a column name, found ')'"),
        ("exclude", "users(a", "expected ')', found the end"),
        ("exclude", "users(a) audit", "expected ';', found 'audit'"),
        ("exclude", "a.*(b)", "expected ';', found '('"),
        ("filters", "orders", "CDC_FILTER cannot be read at character 7: expected ':', found the end"),
        ("filters", "orders:", "expected a condition in SQL whose brackets match, found the end"),
        ("filters", "orders: ; x", "expected a condition in SQL whose brackets match, found ';'"),
        ("filters", "orders: (id > 3", "whose brackets match, found the end"),
        ("filters", "orders: true), table secrets where (true", "whose brackets match, found ')'"),
        ("filters", "orders: id > 3; orders: id < 9", "CDC_FILTER has two conditions for public.orders"),
    ],
)
def test_what_is_written_otherwise_is_refused(setting: str, text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse(**{setting: text})  # type: ignore[arg-type]
    assert says in refused.value.message
    assert refused.value.hint


def test_nothing_set_selects_nothing() -> None:
    assert parse() == Selection()
    assert not parse().narrows
