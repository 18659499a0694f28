"""Signatures as Inngest's SDKs make and check them."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.remote.canonical import canonical
from cdc.remote.signing import WINDOW, bearers, is_key, is_signed, sign

KEY, OTHER = "signkey-test-12345678", "signkey-prod-" + "ab" * 16
NOW = 1_800_000_000
_NAMES = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), max_size=4)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # half a pair is no Unicode, and refused
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner),
    max_leaves=12,
)


def test_it_is_the_hmac_of_body_and_time_by_the_keys_text() -> None:
    expected = hmac.new(b"12345678", b'{"a":1}' + str(NOW).encode(), hashlib.sha256).hexdigest()
    assert sign(b'{ "a": 1.0 }', KEY, NOW + 0.9) == f"t={NOW}&s={expected}"


@given(body=JSON, age=st.integers(-WINDOW, WINDOW), indent=st.sampled_from([None, 1]))
def test_what_was_signed_is_known_however_its_json_is_written(body: Any, age: int, indent: int | None) -> None:
    header = sign(json.dumps(body).encode(), KEY, NOW - age)
    again = json.dumps(body, indent=indent, ensure_ascii=False).encode()
    assert is_signed(again, header, [OTHER, KEY], NOW)
    assert not is_signed(again, header, [OTHER], NOW)
    assert not is_signed(again + b"x", header, [KEY], NOW)


@given(body=st.binary(max_size=40))
def test_what_is_no_json_is_signed_as_it_stands(body: bytes) -> None:
    assert is_signed(body, sign(body, KEY, NOW), [KEY], NOW)


@pytest.mark.parametrize("age", [WINDOW + 1, -WINDOW - 1, NOW])
def test_what_was_signed_long_ago_or_is_yet_to_come_counts_no_more(age: int) -> None:
    assert not is_signed(b"{}", sign(b"{}", KEY, NOW - age), [KEY], NOW)


@given(position=st.integers(0, 78), other=st.characters(min_codepoint=32, max_codepoint=126))
def test_a_header_of_which_anything_was_changed_counts_for_nothing(position: int, other: str) -> None:
    header = sign(b"{}", KEY, NOW)
    changed = header[:position] + other + header[position + 1 :]
    assert is_signed(b"{}", changed, [KEY], NOW) == (changed == header)


@pytest.mark.parametrize("header", ["", "t=&s=", f"t={NOW}", f"s={'0' * 64}", "t=٣&s=" + "0" * 64, "t=" + "9" * 99])
def test_what_is_no_header_counts_for_nothing(header: str) -> None:
    assert not is_signed(b"{}", header, [KEY], NOW)


def test_sdks_send_the_hash_with_or_without_its_prefix_or_the_key() -> None:
    hashed = hashlib.sha256(bytes.fromhex("12345678")).hexdigest()
    assert bearers(KEY) == (hashed, f"signkey-test-{hashed}", KEY)
    assert bearers("12345678") == (hashed, "12345678")


def test_a_key_is_hexadecimal() -> None:
    assert all(map(is_key, (KEY, OTHER, "00ff", "signkey-branch_1-00FF")))
    assert not any(map(is_key, ("", "signkey-test-", "signkey-test-123", "signkey-test-xx", "00ff\n", "signkey--00")))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        # RFC 8785, appendix B and section 3.2
        (333333333.33333329, "333333333.3333333"),
        (1e30, "1e+30"),
        (4.50, "4.5"),
        (2e-3, "0.002"),
        (1e-27, "1e-27"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740992, "9007199254740992"),
        (295147905179352830000.0, "295147905179352830000"),
        (1e21, "1e+21"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
        (-333333333.3333332, "-333333333.3333332"),
        (2**60, "1152921504606847000"),
        ("\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/", '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
        ({"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}, None),
        ([True, None, False, {}], "[true,null,false,{}]"),
    ],
)
def test_canonical_json_is_that_of_the_rfc(value: Any, written: str | None) -> None:
    if written is None:
        assert list(json.loads(canonical(value)).values()) == [2, 4, 6, 7, 1, 5, 3]
    else:
        assert canonical(value).decode() == written


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {"a": ["\udfff"]}])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON has no|surrogates"):
        canonical(value)
    with pytest.raises(TypeError):
        canonical({"a": b"bytes"})
