"""Expressions in CEL over events: which of them, under what key, and when a wait is over.

`event` is the event that started the run, or that is being matched; `async` is the one that is awaited, or cancels.
What an expression reads of them is looked up here and given to CEL as plain variables: a missing field is null, and
only what is read is converted.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import cel

from cdc.authoring.references import FIELDS, WORDS, Path, Source

MAX_LENGTH = 10_000
# Keys and compared values are indexed by Postgres, which takes up to 2,700 bytes.
LONGEST = 512
FUNCTIONS = frozenset(
    {"size", "contains", "startsWith", "endsWith", "matches", "type", "dyn"}
    | {"int", "uint", "double", "string", "bytes", "timestamp", "duration"}
    | {"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"}
    | {"getHours", "getMinutes", "getSeconds", "getMilliseconds"}
)
# What a text in Postgres cannot hold.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
MISSING = object()
SCALARS = (str, int, float)

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expression:
    """A CEL expression. Make it with `compile`, which checks it."""

    text: str

    @classmethod
    def compile(cls, text: str, *, of: tuple[str, ...] = ("event",)) -> Expression:
        """The expression of a text that may use the variables `of`.

        Raises:
            ValueError: it is empty, not CEL, or uses what does not exist or is not allowed here.
        """
        foreign = _compiled(text).roots - set(of)
        if foreign:
            raise ValueError(f"{text!r} cannot use {' and '.join(sorted(foreign))!r} here, only {' and '.join(of)}")
        return cls(text)

    def value(self, event: Event, awaited: Event | None = None) -> Any:
        """Its JSON value; None where a type does not fit."""
        return _compiled(self.text).value(event, awaited)

    def holds(self, event: Event, awaited: Event | None = None) -> bool:
        """Whether it is true; what is missing, of another type or no boolean is not."""
        compiled = _compiled(self.text)
        if compiled.equality is not None and awaited is not None:
            path, other, alone = compiled.equality
            value = other.value(event)
            if isinstance(value, SCALARS):
                # Exact where CEL compares through floats, and most candidates need no CEL at all.
                if not _same(_seek(awaited, path, None), value):
                    return False
                if alone:
                    return True
        return compiled.value(event, awaited) is True

    def key(self, event: Event) -> str:
        """The text of its value that names a key of flow control: a string as it is, anything else as `canonical`."""
        value = self.value(event)
        if isinstance(value, str) and not UNSTORABLE.search(value):
            return _short(value)
        return canonical(value)

    def equality(self, event: Event) -> tuple[str, str] | None:
        """Where an awaited event must have which value: the path for `at`, and the canonical text of the value.

        None when no top-level `&&`-part is `async.<path> == <expression without async>`, or its value is null, a
        list or an object.
        """
        found = _compiled(self.text).equality
        if found is None:
            return None
        path, other, _ = found
        value = other.value(event)
        return (".".join(map(str, path)), canonical(value)) if isinstance(value, SCALARS) else None

    def needs(self, event: Event) -> dict[str, Any]:
        """The parts of an event that it reads: evaluated over them it gives the same as over the whole event."""
        parts: dict[str, Any] = {}
        for path in _compiled(self.text).stored:
            if not path:
                return dict(event)
            _copy(event, parts, path)
        return parts


def matching(path: str) -> Expression:
    """The expression of `match=`: both events have this field, not null, with the same value.

    Raises:
        ValueError: the path is not made of names and dots, or names no field of an event.
    """
    first, *rest = path.split(".")
    if first not in FIELDS or not all(re.fullmatch(r"[\w-]+", name) for name in rest):
        raise ValueError(f"{path!r} is no path in an event: write it like data.user_id, beginning with one of {FIELDS}")
    tail = first + "".join(_step(name) for name in rest)
    return Expression.compile(f"event.{tail} != null && async.{tail} == event.{tail}", of=("event", "async"))


def canonical(value: Any) -> str:
    """The text by which values are compared: compact JSON in ASCII with sorted names.

    Equal numbers have equal texts, 1 and 1.0 alike; a string keeps its quotes, so that "true", true and "1", 1 differ.
    A text of more than 512 characters is replaced by its digest.
    """
    return _short(json.dumps(_even(value), separators=(",", ":"), sort_keys=True))


def at(path: str, event: Event) -> Any | None:
    """The value at a path such as `data.user_id`, or `data.items.0.sku` through a list; None where there is none."""
    value: Any = event
    for name in path.split("."):
        key = int(name) if isinstance(value, list) and name.isdecimal() else name
        value = _seek(value, (key,), None)
    return value


@dataclass(frozen=True, slots=True)
class _Compiled:
    """What an expression is made of."""

    program: cel.Program
    roots: frozenset[str]
    # Variable of the program, root, path, and whether it says that the path is there.
    reads: tuple[tuple[str, str, Path, bool], ...]
    functions: dict[str, Callable[..., Any]]
    # The only read, when there is nothing else.
    alone: tuple[str, Path] | None
    equality: tuple[Path, _Compiled, bool] | None
    stored: tuple[tuple[str, ...], ...]

    def value(self, event: Event, awaited: Event | None = None) -> Any:
        """Its JSON value over two events."""
        given: Event = {} if awaited is None else awaited
        if self.alone is not None:
            root, path = self.alone
            return _seek(event if root == "event" else given, path, None)
        variables: dict[str, Any] = {**self.functions}
        for name, root, path, present in self.reads:
            found = _seek(event if root == "event" else given, path, MISSING if present else None)
            variables[name] = found is not MISSING if present else found
        try:
            return _json(self.program.execute(variables))
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
            return None


@lru_cache(maxsize=4096)
def _compiled(text: Any) -> _Compiled:
    """The parts of an expression.

    Raises:
        ValueError: it is not usable.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError("an expression must not be empty: write CEL over event, such as event.data.user_id")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"an expression may have {MAX_LENGTH} characters, this one has {len(text)}")
    program = _program(text)
    unknown = sorted(name for name in program.functions() if name.isidentifier() and name not in FUNCTIONS | {"has"})
    if unknown:
        raise ValueError(f"{text!r}: there is no function {unknown[0]!r} in CEL as it is used here")
    try:
        source = Source(text)
        return _rewritten(source)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None


def _rewritten(source: Source) -> _Compiled:
    """Compile with a variable in place of each thing that is read of the events."""
    prefix = "_"
    while prefix in source.text:
        prefix += "_"
    text, end = "", 0
    reads: list[tuple[str, str, Path, bool]] = []
    functions: dict[str, Callable[..., Any]] = {}
    for root, path, start, stop, present in source.references():
        if root in ("event", "async"):
            name = f"{prefix}{len(reads)}"
            reads.append((name, root, path, present))
        elif path and (not present or len(path) > 1):
            function = f"{prefix}{'has' if present else 'at'}"
            functions[function] = _present if present else _element
            name = f"{function}({root}, [{', '.join(map(_quoted, path))}])"
        else:
            name = source.text[start:stop]
        text, end = f"{text}{source.text[end:start]}{name}", stop
    program = _program(f"{text}{source.text[end:]}")
    whole = len(reads) == 1 and not reads[0][3] and program.source.strip() == reads[0][0]
    found = source.equality()
    return _Compiled(
        program,
        frozenset(root for _, root, _, _ in reads),
        tuple(reads),
        functions,
        (reads[0][1], reads[0][2]) if whole else None,
        (found[0], _compiled(found[1]), found[2]) if found is not None and _is_plain(found[0]) else None,
        _shortest(path for _, root, path, _ in reads if root == "event"),
    )


def _program(text: str) -> cel.Program:
    try:
        return cel.compile(text)
    except ValueError as error:
        found = re.search(r"<input>:(\d+):(\d+): (?:Syntax error: )?(.*?)(?: expecting .*)?$", str(error), re.MULTILINE)
        what = f"{found[3]} (line {found[1]}, column {found[2]})" if found else str(error)
        raise ValueError(f"{text!r} is not CEL: {what}") from None


def _is_plain(path: Path) -> bool:
    """Whether a path can be written with dots."""
    return all(key != "" and "." not in str(key) for key in path)


def _shortest(paths: Iterable[Path]) -> tuple[tuple[str, ...], ...]:
    """The paths through objects that cover all of these."""
    kept: list[tuple[str, ...]] = []
    for path in sorted({_names(path) for path in paths}, key=len):
        if not any(path[: len(other)] == other for other in kept):
            kept.append(path)
    return tuple(kept)


def _names(path: Path) -> tuple[str, ...]:
    """The part of a path before it enters a list."""
    names: list[str] = []
    for key in path:
        if isinstance(key, int):
            break
        names.append(key)
    return tuple(names)


def _seek(value: Any, path: Iterable[str | int], missing: Any) -> Any:
    for key in path:
        if isinstance(value, Mapping):
            value = value.get(key, MISSING)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return missing
    return missing if value is MISSING else value


def _element(value: Any, path: list[Any]) -> Any:
    return _seek(value, path, None)


def _present(value: Any, path: list[Any]) -> bool:
    return _seek(value, path, MISSING) is not MISSING


def _copy(event: Event, parts: dict[str, Any], path: tuple[str, ...]) -> None:
    """Copy what is at a path to the same path of `parts`."""
    value = _seek(event, path, MISSING)
    if value is MISSING:
        return
    *way, last = path
    for name in way:
        parts = parts.setdefault(name, {})
    parts[last] = value


def _same(one: Any, other: Any) -> bool:
    """Whether two values have the same canonical text, when one of them is no list and no object."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _even(value: Any) -> Any:
    """With whole numbers written as such."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        return [_even(item) for item in value]
    if isinstance(value, dict):
        return {name: _even(item) for name, item in value.items()}
    return value


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _json(value: Any) -> Any:
    """The JSON value of what CEL computed; None for what has none."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [_json(item) for item in value]
        case dict():
            return {str(name): _json(item) for name, item in value.items()}
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case timedelta():
            return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
        case bytes():
            return base64.b64encode(value).decode()
    return None


def _quoted(key: str | int) -> str:
    return json.dumps(key, ensure_ascii=False)


def _step(name: str) -> str:
    if name.isdecimal():
        return f"[{int(name)}]"
    return f".{name}" if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) and name not in WORDS else f'["{name}"]'
