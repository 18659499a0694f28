"""Which tables are told as missing, where there are several sources."""

from __future__ import annotations

from cdc.service.absences import Absences

USERS, ORDERS = ("public", "users"), ("public", "orders")


def test_what_the_only_source_lacks_is_missed() -> None:
    absences = Absences()
    absences.expect("default")
    assert absences.note("default", {USERS}) == {USERS}
    assert absences.note("default", set()) == frozenset()


def test_a_table_that_one_source_has_is_missed_in_none() -> None:
    absences = Absences()
    absences.note("default", {USERS, ORDERS})
    assert absences.note("crm", {ORDERS}) == {ORDERS}
    assert absences.note("default", {USERS, ORDERS}) == {ORDERS}


def test_nothing_is_missed_before_every_source_was_looked_at_or_given_up() -> None:
    absences = Absences()
    absences.expect("default")
    absences.expect("crm")
    assert absences.note("default", {USERS}) == frozenset()
    absences.forget("crm")
    assert absences.note("default", {USERS}) == {USERS}
