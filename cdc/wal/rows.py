"""Row decoders: one generated function per list of columns.

A loop over columns that looks up each one's type costs twice as much as straight-line code that knows them, and rows
are what the service is fed with. The generated source for a column `id int8` reads:

    if data[at] == 116:                                   # "t", a value in text form
        start = at + 5; at = start + size(data, at + 1)[0]
        row["id"] = convert0(data[start:at])
    elif data[at] == 110: row["id"] = None; at += 1       # "n", NULL
    elif data[at] == 117: unchanged += ("id",); at += 1   # "u", an unchanged TOAST value, not sent

Postgres docs, Frontend/Backend Protocol: Logical Replication Message Formats, TupleData.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NoReturn, cast

from cdc.errors import ProtocolError
from cdc.wal import values
from cdc.wal.relations import Column
from cdc.wal.types import NO_TYPES, Types

Row = dict[str, Any]
"""Column name to JSON-ready value; None is NULL, a column that was not sent is absent."""

RowDecoder = Callable[[bytes, int], tuple[Row, tuple[str, ...], int]]
"""(message, where the TupleData starts) -> (row, names of unchanged TOAST columns, where the TupleData ends)."""

_count = struct.Struct(">H")
_size = struct.Struct(">I").unpack_from

# Sizes are read unsigned and checked once at the end: a slice beyond the data is short, never an error.
_FUNCTION = """\
def decode(data, at):
  row = {{}}
  unchanged = ()
  try:
    if data[at:at + 2] != count: raise ValueError("number of columns")
    at += 2
{columns}
  except errors as error:
    malformed(data, at, error)
  if at > len(data): malformed(data, at, None)
  return row, unchanged, at
"""
_COLUMN = """\
    if data[at] == 116:
      start = at + 5; at = start + size(data, at + 1)[0]
      row[{name}] = {value}
    elif data[at] == 110: row[{name}] = None; at += 1
    elif data[at] == 117: unchanged += ({name},); at += 1
    else: raise ValueError("kind of value")
"""


@lru_cache(maxsize=1024)
def compile_row(columns: tuple[Column, ...], types: Types = NO_TYPES) -> RowDecoder:
    """The decoder for rows of these columns, the same one for equal columns and the same types.

    Kept by content: with publish_via_partition_root the Relation messages of root and leaf alternate. A name gets
    into the source only as a string literal made by `ascii`. The decoder raises ProtocolError, with open types
    TypesWanted, and nothing else.
    """
    converters = [values.converter(column.type_oid, types) for column in columns]
    scope: dict[str, Any] = {
        "count": _count.pack(len(columns)),
        "size": _size,
        "errors": (LookupError, ValueError, struct.error),
        "malformed": _malformed,
    }
    scope |= {f"convert{index}": convert for index, convert in enumerate(converters)}
    source = _FUNCTION.format(columns="".join(_column_sources(columns, converters)))
    exec(compile(source, "<row decoder>", "exec"), scope)  # noqa: S102
    return cast("RowDecoder", scope["decode"])


def _column_sources(columns: Sequence[Column], converters: Sequence[values.Converter]) -> Iterator[str]:
    for index, (column, convert) in enumerate(zip(columns, converters, strict=True)):
        is_text = convert is values.text
        # `values.text` written out: half of all columns are text and a call costs as much as the decoding.
        value = 'data[start:at].decode("utf-8", "backslashreplace")' if is_text else f"convert{index}(data[start:at])"
        yield _COLUMN.format(name=ascii(column.name), value=value)


def _malformed(data: bytes, at: int, cause: Exception | None) -> NoReturn:
    raise ProtocolError(f"a row cannot be read at byte {at} of a message of {len(data)} bytes") from cause
