"""Values: from Postgres's text form to what goes into JSON, by type.

The text forms are those of a session with DateStyle ISO, TimeZone UTC, extra_float_digits 1, bytea_output hex and
client_encoding UTF8 (`connection` pins them): Postgres docs, chapter 8 Data Types.
"""

from __future__ import annotations

from binascii import a2b_hex, b2a_base64
from collections.abc import Callable, Mapping
from functools import partial
from math import isfinite
from typing import Any

import orjson

from cdc.wal.nested import array, pairs, record
from cdc.wal.types import NO_TYPES, Array, Composite, Domain, Scalar, Types

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


def timetz(raw: bytes) -> str:
    """ISO 8601 with the offset that was given, in hours and minutes."""
    return text(raw) + ":00" if raw[-3:-2] in (b"+", b"-") else text(raw)


def numbers(raw: bytes) -> list[int]:
    """The integers of an `int2vector` or `oidvector`."""
    return [int(number) for number in raw.split()]


def floats(raw: bytes) -> list[Any]:
    """An array of floats; those of embeddings have thousands, and mostly plain ones."""
    plain = raw[:1] == b"{" and b"N" not in raw and b"I" not in raw and raw.find(b"}") == len(raw) - 1
    if not plain or len(raw) == 2:
        return array(b",", floating, raw)
    return list(map(float, orjson.loads(b"[%b]" % raw[1:-1])))  # in a tenth of the time that float takes for bytes


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
    22: numbers,  # int2vector
    23: int,  # int4
    26: int,  # oid
    30: numbers,  # oidvector
    114: orjson.Fragment,  # json, spliced unparsed: it may hold duplicate keys
    700: floating,  # float4
    701: floating,  # float8
    1021: floats,
    1022: floats,
    1114: timestamp,
    1184: timestamptz,
    1266: timetz,
    3802: orjson.Fragment,  # jsonb, spliced unparsed: a number in it may have hundreds of digits
}
"""Type OID (pg_type.dat) to converter. Every other built-in type without parts stays text, and on purpose these:

numeric, because a JSON number would lose digits and trailing zeros; money, which follows the locale; date, time and
interval, ISO 8601 already (`24:00:00` and `infinity` included); char, varchar, name, xml, uuid, inet, bit, ranges.
"""

NAMED: Mapping[Scalar, Converter] = {
    Scalar("vector", "vector"): orjson.Fragment,  # its text is a JSON array
    Scalar("vector", "halfvec"): orjson.Fragment,
    Scalar("hstore", "hstore"): pairs,
}
"""Types of extensions, whose OID differs from database to database."""


def converter(type_oid: int, types: Types = NO_TYPES) -> Converter:
    """The converter of a type; `text` for all that has no other form.

    A value that does not fit what `types` says of its type becomes text. With open `types` the first such value raises
    TypesWanted.
    """
    known = CONVERTERS.get(type_oid)
    if known is not None:
        return known
    convert = _built(type_oid, types, frozenset())
    return text if convert is text else _or_text(convert, type_oid, types)


def _built(type_oid: int, types: Types, within: frozenset[int]) -> Converter:
    known = CONVERTERS.get(type_oid)
    if known is not None:
        return known
    if type_oid in within:  # no catalog says so, but two readings of a catalog may
        return text
    within |= {type_oid}
    match types.shape(type_oid):
        case Domain(of):
            return _built(of, types, within)
        case Array(of, delimiter):
            return partial(array, delimiter.encode(), _built(of, types, within))
        case Composite(attributes):
            return partial(record, tuple((name, _built(of, types, within)) for name, of in attributes))
        case scalar:
            return NAMED.get(scalar, text)


def _or_text(convert: Converter, type_oid: int, types: Types) -> Converter:
    def converted(raw: bytes) -> Any:
        try:
            return convert(raw)
        except (LookupError, ValueError):
            types.doubt(type_oid)
            return text(raw)

    return converted
