from __future__ import annotations

import base64
import math
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.wal import values

BOOL, BYTEA, INT8, INT2, INT4, TEXT, OID, JSON, FLOAT4, FLOAT8 = 16, 17, 20, 21, 23, 25, 26, 114, 700, 701
DATE, TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL, NUMERIC, UUID, JSONB = 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3802


def convert(type_oid: int, raw: str | bytes) -> Any:
    return values.converter(type_oid)(raw.encode() if isinstance(raw, str) else raw)


@pytest.mark.parametrize(
    ("type_oid", "raw", "expected"),
    [
        (BOOL, "t", True),
        (BOOL, "f", False),
        (INT2, "-32768", -32768),
        (INT4, "2147483647", 2147483647),
        (INT8, "-9223372036854775808", -(2**63)),
        (OID, "4294967295", 4294967295),
        (FLOAT4, "0.1", 0.1),
        (FLOAT8, "1e+308", 1e308),
        (FLOAT8, "NaN", "NaN"),
        (FLOAT8, "Infinity", "Infinity"),
        (FLOAT4, "-Infinity", "-Infinity"),
        (NUMERIC, "1234500.00", "1234500.00"),
        (NUMERIC, "NaN", "NaN"),
        (DATE, "2026-01-01", "2026-01-01"),
        (DATE, "0044-03-15 BC", "0044-03-15 BC"),
        (TIME, "24:00:00", "24:00:00"),
        (INTERVAL, "P1Y2M3DT4H5M6S", "P1Y2M3DT4H5M6S"),
        (TIMESTAMP, "2026-01-01 21:34:05.123456", "2026-01-01T21:34:05.123456"),
        (TIMESTAMP, "infinity", "infinity"),
        (TIMESTAMP, "0044-03-15 00:00:00 BC", "0044-03-15 00:00:00 BC"),
        (TIMESTAMPTZ, "2026-01-01 21:34:05.123456+00", "2026-01-01T21:34:05.123456+00:00"),
        (TIMESTAMPTZ, "12026-01-01 00:00:00+00", "12026-01-01T00:00:00+00:00"),
        (TIMESTAMPTZ, "-infinity", "-infinity"),
        (TIMESTAMPTZ, "0044-03-15 00:00:00+00 BC", "0044-03-15 00:00:00+00 BC"),
        (UUID, "6d1bd3c7-7ea5-4c3c-b25c-8f5d0e2f1a5e", "6d1bd3c7-7ea5-4c3c-b25c-8f5d0e2f1a5e"),
        (BYTEA, "\\x", ""),
        (BYTEA, "\\x00ff", "AP8="),
        (TEXT, "snö ☃", "snö ☃"),
        (1007, "{1,2,NULL}", [1, 2, None]),
        (999999, "[0.1,-2,3e-08]", "[0.1,-2,3e-08]"),
    ],
)
def test_a_text_form_becomes_its_json_ready_value(type_oid: int, raw: str, expected: Any) -> None:
    value = convert(type_oid, raw)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize("type_oid", [JSON, JSONB])
@pytest.mark.parametrize("raw", ['{"a": 1, "a": 2}', "[1e400]", '"\\u0000"', "null"])
def test_json_is_spliced_into_the_output_as_it_is(type_oid: int, raw: str) -> None:
    assert orjson.dumps({"doc": convert(type_oid, raw)}) == b'{"doc":' + raw.encode() + b"}"


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_int8_survives(number: int) -> None:
    assert convert(INT8, str(number)) == number


@given(st.floats())
def test_every_float_is_a_number_or_a_text_that_json_can_hold(number: float) -> None:
    raw = {math.inf: "Infinity", -math.inf: "-Infinity"}.get(number, "NaN" if math.isnan(number) else repr(number))
    value = convert(FLOAT8, raw)
    assert orjson.loads(orjson.dumps(value)) == value
    if math.isfinite(number):
        assert struct.pack("d", value) == struct.pack("d", number)
    else:
        assert value == raw


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
def test_every_moment_of_our_era_is_rfc_3339(moment: datetime) -> None:
    raw = f"{moment.isoformat(sep=' ')}+00"
    value = convert(TIMESTAMPTZ, raw)
    assert value[10] == "T"
    assert datetime.fromisoformat(value) == moment.replace(tzinfo=UTC)
    assert datetime.fromisoformat(value).utcoffset() == timedelta(0)


@given(st.binary())
def test_every_bytea_is_base64(content: bytes) -> None:
    assert base64.b64decode(convert(BYTEA, b"\\x" + content.hex().encode()), validate=True) == content


@given(st.binary())
def test_bytes_that_are_not_utf8_stay_readable_and_stop_nothing(raw: bytes) -> None:
    assert orjson.loads(orjson.dumps(convert(TEXT, raw))) == raw.decode("utf-8", "backslashreplace")


@pytest.mark.parametrize(
    ("type_oid", "raw"), [(BOOL, "x"), (INT4, "1.5"), (FLOAT8, "x"), (BYTEA, "ab"), (BYTEA, "\\xz")]
)
def test_a_malformed_value_is_a_lookup_or_value_error(type_oid: int, raw: str) -> None:
    with pytest.raises((LookupError, ValueError)):
        convert(type_oid, raw)
