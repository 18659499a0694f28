"""Compiled CEL. What an expression reads of the events is looked up here and given to CEL as plain variables.

So a missing field is null, and only what is read is converted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cdc.authoring.language import cel
from cdc.authoring.references import ROOTS, TYPES, Source
from cdc.authoring.values import Event, Path, covering, is_there, seek, to_json

MAX_LENGTH = 10_000
FUNCTIONS = frozenset(
    {"has", "size", "contains", "startsWith", "endsWith", "matches", "type", "dyn"}
    | {"int", "uint", "double", "string", "bytes", "timestamp", "duration"}
    | {"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"}
    | {"getHours", "getMinutes", "getSeconds", "getMilliseconds"}
)

Functions = dict[str, Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Read:
    """A variable of the program: the value at a path of an event, or whether there is one."""

    name: str
    root: str
    path: Path
    present: bool

    def of(self, event: Event, awaited: Event) -> Any:
        """Its value; null where there is none."""
        source = event if self.root == "event" else awaited
        return is_there(source, self.path) if self.present else seek(source, self.path)


@dataclass(frozen=True, slots=True)
class Equality:
    """A part of an expression that is necessary for it: `async` has this value at this path."""

    path: Path
    program: Program
    alone: bool


@dataclass(frozen=True, slots=True)
class Program:
    """What an expression is made of."""

    cel: cel.Program
    reads: tuple[Read, ...]
    functions: Functions
    # The expression is nothing but its one read.
    plain: bool
    equality: Equality | None
    stored: tuple[tuple[str, ...], ...]

    @property
    def roots(self) -> set[str]:
        """The events it reads."""
        return {read.root for read in self.reads}

    def value(self, event: Event, awaited: Event | None = None) -> Any:
        """Its JSON value over two events; None where a type does not fit."""
        given: Event = {} if awaited is None else awaited
        if self.plain:
            return self.reads[0].of(event, given)
        variables: dict[str, Any] = {**self.functions}
        for read in self.reads:
            variables[read.name] = read.of(event, given)
        try:
            return to_json(self.cel.execute(variables))
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
            return None


@lru_cache(maxsize=4096)
def program_of(text: Any) -> Program:
    """The program of an expression's text.

    Raises:
        ValueError: it is empty, too long, not CEL, or uses what does not exist.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError("an expression must not be empty: write CEL over event, such as event.data.user_id")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"an expression may have {MAX_LENGTH} characters, this one has {len(text)}")
    parsed = _parsed(text)
    unknown = sorted(name for name in parsed.functions() if name.isidentifier() and name not in FUNCTIONS)
    if unknown:
        raise ValueError(f"{text!r}: there is no function {unknown[0]!r} for expressions")
    try:
        return _rewritten(Source(text))
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None


def _rewritten(source: Source) -> Program:
    """Compile with a variable in place of each thing that is read of the events."""
    prefix = "_"
    while prefix in source.text:
        prefix += "_"
    reads: list[Read] = []
    functions: Functions = {}
    text, end = "", 0
    for root, path, start, stop, present in source.references():
        if root in ROOTS:
            name = f"{prefix}{len(reads)}"
            reads.append(Read(name, root, path, present))
        elif root == "size":
            # The library counts the bytes of a string, CEL its characters.
            name = f"{prefix}size"
            functions[name] = _size
        elif len(path) > present:
            function = f"{prefix}{'has' if present else 'at'}"
            functions[function] = is_there if present else seek
            name = f"{function}({root}, [{', '.join(json.dumps(key, ensure_ascii=False) for key in path)}])"
        else:
            name = source.text[start:stop]
        text, end = f"{text}{source.text[end:start]}{name}", stop
    parsed = _parsed(f"{text}{source.text[end:]}")
    strange = {*parsed.variables()} - {read.name for read in reads} - source.bound - TYPES
    if strange:
        raise ValueError(f"{strange.pop()!r} is no name of a variable; an expression can use event and async")
    found = source.equality()
    return Program(
        cel=parsed,
        reads=tuple(reads),
        functions=functions,
        plain=len(reads) == 1 and not reads[0].present and parsed.source.strip() == reads[0].name,
        equality=Equality(found.path, program_of(found.other), found.alone) if found else None,
        stored=covering(read.path for read in reads if read.root == "event"),
    )


def _parsed(text: str) -> cel.Program:
    try:
        return cel.compile(text)
    except ValueError as error:
        found = re.search(r"<input>:(\d+):(\d+): (?:Syntax error: )?(.*?)(?: expecting .*)?$", str(error), re.MULTILINE)
        what = f"{found[3]} (line {found[1]}, column {found[2]})" if found else str(error)
        raise ValueError(f"{text!r} is not CEL: {what}") from None


def _size(value: Any) -> int | None:
    """The size of a value, null where it has none: the library logs each exception of a function given to it."""
    return len(value) if isinstance(value, str | bytes | list | dict) else None
