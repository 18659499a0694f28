"""Values with parts, from the text forms of Postgres: `{1,"two words",NULL}`, `(1,"two words",)`, `"a"=>"1"`.

Postgres docs: 8.15.6 Array Input and Output Syntax, 8.16.6 Composite Type Input and Output Syntax, F.17 hstore. Only
what the output functions write is understood; anything else is a ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

Convert = Callable[[bytes], Any]

_MOST_DIMENSIONS = 6
"""MAXDIM in utils/array.h."""

# Possessive throughout: a value of megabytes must neither pile up places to go back to nor be scanned twice.
_QUOTED = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_BOUNDS = re.compile(rb"(?:\[-?\d+:-?\d+\])+=")
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_FIELD = re.compile(rb'(?:"([^"\\]*+(?:(?:""|\\.)[^"\\]*+)*+)"|([^"\\(),]*+))([,)])', re.DOTALL)
_FIELD_ESCAPE = re.compile(rb'["\\](.)', re.DOTALL)
_PAIR = re.compile(rb"%s=>(?:%s|NULL)(?:, |\Z)" % (_QUOTED, _QUOTED), re.DOTALL)


def array(delimiter: bytes, convert: Convert, raw: bytes) -> list[Any]:
    """The elements, each converted, in lists of lists where there are dimensions. Bounds are left out."""
    if raw[:1] == b"[":
        bounds = _BOUNDS.match(raw)
        raw = raw[bounds.end() :] if bounds else raw
    if b'"' in raw or b"\\" in raw or raw.rfind(b"{") > 0:
        return _dimensions(delimiter, convert, raw)
    if raw[:1] != b"{" or raw.find(b"}") != len(raw) - 1:
        raise ValueError("an array without braces")
    elements = raw[1:-1].split(delimiter) if len(raw) > 2 else []
    return [_element(convert, element) for element in elements]


def record(attributes: Sequence[tuple[str, Convert]], raw: bytes) -> dict[str, Any]:
    """The attributes by name, each converted; None for NULL."""
    fields = _fields(raw)
    if raw == b"()" and not attributes:
        return {}
    return {
        name: None if field is None else convert(field)
        for (name, convert), field in zip(attributes, fields, strict=True)
    }


def pairs(raw: bytes) -> dict[str, str | None]:
    """The keys and values of an hstore."""
    found: dict[str, str | None] = {}
    at = 0
    while at < len(raw):
        pair = _PAIR.match(raw, at)
        if pair is None:
            raise ValueError("not an hstore")
        key, value = pair.groups()
        found[_text(key)] = None if value is None else _text(value)
        at = pair.end()
    return found


def _fields(raw: bytes) -> list[bytes | None]:
    if raw[:1] != b"(":
        raise ValueError("a record without parentheses")
    fields: list[bytes | None] = []
    at, end = 1, b","
    while end == b",":
        field = _FIELD.match(raw, at)
        if field is None:
            raise ValueError("a record that does not end")
        quoted, plain, end = field.groups()
        fields.append(plain or None if quoted is None else _FIELD_ESCAPE.sub(rb"\1", quoted))
        at = field.end()
    if at != len(raw):
        raise ValueError("more than a record")
    return fields


def _dimensions(delimiter: bytes, convert: Convert, raw: bytes) -> list[Any]:
    whole: list[Any] = []
    open_lists = [whole]
    at, before = 0, b"{"
    token = _tokens(delimiter)
    while at < len(raw):
        found = token.match(raw, at)
        if found is None or (at > 0 and len(open_lists) == 1):
            raise ValueError("not an array")
        quoted, plain, mark = found.groups()
        at = found.end()
        # An element or a list comes after "{" or a delimiter, a delimiter or "}" after one of those; also "{}".
        opens = before in (b"{", delimiter)
        if (mark in (b"}", delimiter)) is opens and not (mark == b"}" and before == b"{"):
            raise ValueError("not an array")
        if mark == b"{":
            if len(open_lists) > _MOST_DIMENSIONS:
                raise ValueError("too many dimensions")
            inner: list[Any] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif mark == b"}":
            open_lists.pop()
        elif mark is None:
            element = _element(convert, plain) if quoted is None else convert(_ESCAPE.sub(rb"\1", quoted))
            open_lists[-1].append(element)
        before = mark or b"element"
    if len(open_lists) != 1 or len(whole) != 1 or not isinstance(whole[0], list):
        raise ValueError("an array that does not end")
    return whole[0]


@cache
def _tokens(delimiter: bytes) -> re.Pattern[bytes]:
    """A quoted element, a plain one, or a mark."""
    between = re.escape(delimiter)
    return re.compile(rb'%s|([^"\\{}%s]++)|([{}%s])' % (_QUOTED, between, between), re.DOTALL)


def _element(convert: Convert, raw: bytes) -> Any:
    if not raw:
        raise ValueError("an element without text")
    return None if raw == b"NULL" else convert(raw)


def _text(raw: bytes) -> str:
    return _ESCAPE.sub(rb"\1", raw).decode("utf-8", "backslashreplace")
