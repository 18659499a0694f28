"""Values: from Postgres's text form to what goes into JSON, by type.

The text forms are those of a session with DateStyle ISO, TimeZone UTC, extra_float_digits 1, bytea_output hex and
client_encoding UTF8 (`connection` pins them): Postgres docs, chapter 8 Data Types.
"""

from __future__ import annotations

from binascii import a2b_hex, b2a_base64
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import orjson

Converter = Callable[[bytes], Any]
"""Takes a value's text form; raises LookupError or ValueError if it is not one."""


def text(raw: bytes) -> str:
    r"""The text as it is.

    A byte that is not UTF-8 (possible in a SQL_ASCII database) becomes `\xff`: one odd value must not stop the stream.
    """
    return raw.decode("utf-8", "backslashreplace")


def boolean(raw: bytes) -> bool:
    """`t` or `f`."""
    return _BOOLEANS[raw]


def floating(raw: bytes) -> float | str:
    """A number; NaN and the infinities stay text, since JSON has none."""
    value = float(raw)
    return value if isfinite(value) else raw.decode()


def timestamp(raw: bytes) -> str:
    """ISO 8601 with `T`, no offset. `infinity` and years BC have no such form and stay as they are."""
    return text(raw) if raw.endswith(b"BC") else text(raw.replace(b" ", b"T", 1))


def timestamptz(raw: bytes) -> str:
    """RFC 3339 with `T` and `+00:00`. `infinity` and years BC have no such form and stay as they are."""
    return raw.replace(b" ", b"T", 1).decode() + ":00" if raw[-3:] == b"+00" else text(raw)


def bytea(raw: bytes) -> str:
    """Base64, from the hex form."""
    if raw[:2] != b"\\x":
        raise ValueError("bytea is not in hex form")
    return b2a_base64(a2b_hex(raw[2:]), newline=False).decode()


_BOOLEANS = {b"t": True, b"f": False}

CONVERTERS: Mapping[int, Converter] = {
    16: boolean,  # bool
    17: bytea,
    20: int,  # int8: all 64 bits, so a reader in JavaScript loses digits beyond 2^53
    21: int,  # int2
    23: int,  # int4
    26: int,  # oid
    114: orjson.Fragment,  # json, spliced unparsed: it may hold duplicate keys
    700: floating,  # float4
    701: floating,  # float8
    1114: timestamp,
    1184: timestamptz,
    3802: orjson.Fragment,  # jsonb, spliced unparsed: a number in it may have hundreds of digits
}
"""Type OID (pg_type.dat) to converter. Every other type stays text, and on purpose these:

numeric, because a JSON number would lose digits and trailing zeros; money, which follows the locale; date, time and
interval, ISO 8601 already (`24:00:00` and `infinity` included); char, varchar, name, xml, uuid, inet, bit, enums,
domains, ranges, composites and arrays; vector and halfvec, whose text is a JSON array.
"""


def converter(type_oid: int) -> Converter:
    """The converter of a type; `text` for all that `CONVERTERS` does not name."""
    return CONVERTERS.get(type_oid, text)
