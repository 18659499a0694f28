from __future__ import annotations

from uuid import UUID, uuid5

import pytest
import uuid_utils
from hypothesis import given
from hypothesis import strategies as st

from cdc.events.ids import MAX_ORDINAL, MAX_SOURCE, of_position, of_request, of_step, to_position
from cdc.lsn import Position

positions = st.builds(Position, st.integers(0, 2**64 - 1), st.integers(0, MAX_ORDINAL))
sources = st.integers(0, MAX_SOURCE)

VARIABLE = ~(0xF << 76 | 0b11 << 62) & (1 << 128) - 1
"""The bits of a UUID that neither version nor variant takes."""


@given(sources, positions)
def test_an_id_tells_its_source_and_position(source: int, position: Position) -> None:
    assert to_position(of_position(source, position)) == (source, position)


@given(st.integers(0, 2**128 - 1))
def test_every_uuid_of_version_8_is_the_id_of_one_position(number: int) -> None:
    given_id = (number & VARIABLE | 8 << 76 | 0b10 << 62).to_bytes(16, "big")
    assert of_position(*to_position(given_id)) == given_id


@given(sources, positions, positions)
def test_ids_of_one_source_sort_like_their_positions(source: int, one: Position, other: Position) -> None:
    ids = [of_position(source, position) for position in (one, other)]
    assert (ids[0] < ids[1]) == (one < other)
    assert (str(UUID(bytes=ids[0])) < str(UUID(bytes=ids[1]))) == (one < other)


@given(sources, sources, positions, positions)
def test_different_changes_have_different_ids(source: int, other: int, one: Position, two: Position) -> None:
    assert (of_position(source, one) == of_position(other, two)) == ((source, one) == (other, two))


@given(sources, positions)
def test_ids_are_uuids_of_version_8(source: int, position: Position) -> None:
    uuid = UUID(bytes=of_position(source, position))
    assert (uuid.version, uuid.variant) == (8, "specified in RFC 4122")


sendings = st.tuples(st.uuids().map(str), st.text(), st.integers(0, 1 << 32))


@given(sendings, sendings)
def test_an_event_that_a_step_sends_has_the_same_id_again_and_no_other_has_it(
    one: tuple[str, str, int], other: tuple[str, str, int]
) -> None:
    assert of_step(*one) == of_step(*one)
    assert (of_step(*one) == of_step(*other)) == (one == other)
    with pytest.raises(ValueError, match="not the id of a row change"):
        to_position(of_step(*one))


@pytest.mark.parametrize(
    "id",
    [
        uuid_utils.uuid7().bytes,
        uuid_utils.uuid4().bytes,
        b"",
        of_position(1, Position(1, 1))[:15],
        of_position(1, Position(1, 1)) + b"\0",
        b"\xff" * 16,
    ],
    ids=["version 7", "version 4", "empty", "short", "long", "another variant"],
)
def test_what_is_no_id_of_a_change_is_refused(id: bytes) -> None:
    with pytest.raises(ValueError, match="not the id of a row change"):
        to_position(id)


def test_the_id_of_an_event_that_is_sent_again_is_the_one_that_every_version_makes() -> None:
    made = UUID(bytes=of_request("1727146545006,AAECAwQFBgcICQ==é", 7))
    assert made == uuid5(UUID("6d1f7a4e-3e0b-5f9e-9d5c-0f6c3f1f2b9a"), "7:1727146545006,AAECAwQFBgcICQ==é")
