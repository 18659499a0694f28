"""What bounds requests before they are read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.web.guard import limits
from cdc.web.guard.limits import Attempts, address_of, too_deep

LEAVES = st.none() | st.booleans() | st.integers() | st.text(alphabet='[]{}"\\a é', max_size=8)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='[{"\\', max_size=3), inner, max_size=4)
    ),
    max_leaves=40,
)


def depth(value: Any) -> int:
    """Lists and objects within each other."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(document=DOCUMENTS, most=st.integers(0, 6), indent=st.sampled_from([None, 2]))
def test_what_is_too_deep_is_what_nests_more_than_may_be(document: Any, most: int, indent: int | None) -> None:
    for ascii_only in (True, False):
        body = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
        assert too_deep(body, most) == (depth(document) > most)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"[{" * 500, b"]" * 999, b'"[[[[' * 99])
def test_what_is_no_json_does_no_harm(body: bytes) -> None:
    assert too_deep(body) in (True, False)
    assert too_deep(b"[" * 65 + b"]" * 65)
    assert not too_deep(b"[" * 64 + b"]" * 64)


def test_a_minute_later_an_address_may_try_again() -> None:
    now = 6000.0
    attempts = Attempts(each=2, together=3, clock=lambda: now)
    attempts.note("a")
    assert attempts.wait("a") == 0
    now += 15
    attempts.note("a")
    assert attempts.wait("a") == 45, "a minute after the first"
    assert attempts.wait("b") == 0
    attempts.note("b")
    assert attempts.wait("c") == 45, "all addresses together"
    attempts.forget("b")
    assert attempts.wait("c") == 0
    now += 45
    assert attempts.wait("a") == 0


def test_however_many_addresses_try_no_more_are_remembered() -> None:
    attempts = Attempts(each=1)
    for number in range(limits.MOST_ADDRESSES + 100):
        attempts.note(str(number))
    assert len(attempts._of) <= limits.MOST_ADDRESSES


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("2001:db8:1:2:3:4:5:6", 5), "2001:db8:1:2::"),
        (("::ffff:192.0.2.1", 5), "192.0.2.1"),
        (("unix", 0), ""),
        (None, ""),
    ],
)
def test_an_address_is_an_ipv4_address_or_an_ipv6_network(given: tuple[str, int] | None, counted: str) -> None:
    assert address_of({"client": given}) == counted
