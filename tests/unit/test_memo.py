from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from cdc.engine import memo
from cdc.engine.memo import LARGEST, MemoError
from cdc.store.json import loads

# Lone surrogates and integers beyond 64 bits are JSON, too.
texts = st.text(st.characters(codec=None))
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20)


class Colour(Enum):
    RED = "red"


@dataclass
class Size:
    width: int
    height: int


class Order(BaseModel):
    id: UUID
    placed: datetime
    sizes: list[Size]


class Place(NamedTuple):
    x: int
    y: int


def returns(declared: object) -> Callable[[], object]:
    """A function that declares to return that."""

    def body() -> object:
        raise AssertionError("never called")

    body.__annotations__["return"] = declared
    return body


def kept(value: object, declared: object = Any) -> object:
    """The value as a handler sees it again."""
    return memo.typed(loads(memo.dump("it", value)), returns(declared))


@given(values)
def test_json_comes_back_as_it_was(value: object) -> None:
    again = kept(value)
    assert again == value
    assert json.dumps(again) == json.dumps(value), "of the same types"


@given(values)
def test_live_and_replayed_values_are_the_same(value: object) -> None:
    document = memo.dump("it", value)
    assert memo.dump("it", memo.typed(loads(document), returns(Any))) == document


@pytest.mark.parametrize(
    ("value", "declared"),
    [
        (Size(1, 2), Size),
        (Order(id=UUID(int=7), placed=datetime(2026, 1, 2, tzinfo=UTC), sizes=[Size(1, 2)]), Order),
        ([Size(1, 2)], list[Size]),
        ({"a": Size(1, 2)}, dict[str, Size]),
        ({1: "a", 2: "b"}, dict[int, str]),
        ({UUID(int=7): [1]}, dict[UUID, list[int]]),
        ((1, "a"), tuple[int, str]),
        ({3, 1, 2}, set[int]),
        (Place(1, 2), Place),
        (Colour.RED, Colour),
        (datetime(2026, 1, 2, 3, 4, 5, 6, UTC), datetime),
        (UUID(int=7), UUID),
        (Size(1, 2), Size | None),
        (None, Size | None),
        (None, Size),
        (1.0, float),
        ([1, "a", None], list[int | str | None]),
    ],
    ids=repr,
)
def test_a_declared_type_comes_back(value: object, declared: object) -> None:
    again = kept(value, declared)
    assert again == value
    assert type(again) is type(value)


def test_without_a_declared_type_plain_values_come_back() -> None:
    def undeclared():  # type: ignore[no-untyped-def]
        pass

    assert memo.typed(loads(memo.dump("it", Size(1, 2))), undeclared) == {"width": 1, "height": 2}
    assert memo.typed(loads(memo.dump("it", (1, {2}))), lambda: None) == [1, [2]]


def test_a_declaration_that_cannot_be_read_is_passed_over() -> None:
    def broken() -> Missing:  # type: ignore[name-defined] # noqa: F821
        pass

    assert memo.typed(loads(memo.dump("it", [1])), broken) == [1]


@pytest.mark.parametrize("value", [object(), b"bytes", {"a": {1j}}, float, {(1, 2): 3}, [1 << 70, float("nan")]])
def test_what_is_no_json_is_refused_by_name(value: object) -> None:
    with pytest.raises(MemoError, match="the answer cannot be stored as JSON"):
        memo.dump("the answer", value)


def test_the_limit_is_in_bytes_and_what_is_within_is_kept() -> None:
    assert len(memo.dump("it", "x" * (LARGEST - 2))) == LARGEST
    with pytest.raises(MemoError, match="4,194,305 bytes"):
        memo.dump("it", "x" * (LARGEST - 1))
    with pytest.raises(MemoError, match="the limit is 4,194,304"):
        memo.dump("it", "ü" * (LARGEST // 2))


@given(texts)
def test_an_error_is_json_whatever_its_message_says(message: str) -> None:
    stored = memo.error_of(ValueError(message))
    assert (stored.name, stored.message) == ("ValueError", message)
    assert json.loads(stored.json)["message"] == message


def test_an_error_keeps_its_stack_within_bounds() -> None:
    def deep(depth: int) -> None:
        if depth:
            deep(depth - 1)
        raise RuntimeError("at the bottom" * 10_000)

    try:
        deep(50)
    except RuntimeError as error:
        stack = json.loads(memo.error_of(error).json)["stack"]
    assert len(stack) <= 8000
    assert stack.endswith("at the bottom\n")
