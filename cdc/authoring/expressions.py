"""Expressions in CEL over events: which of them, under what key, and when a wait is over.

`event` is the event that started the run, or that is being matched; `async` is the one that is awaited, or cancels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from cdc.authoring.programs import program_of
from cdc.authoring.references import FIELDS, WORDS
from cdc.authoring.values import Event, are_same, at, canonical, parts_of, seek, shortened

__all__ = ["Expression", "at", "canonical", "matching"]

SCALARS = (str, int, float)
# What a text in Postgres cannot hold.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


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
        foreign = program_of(text).roots - set(of)
        if foreign:
            raise ValueError(f"{text!r} cannot use {foreign.pop()!r}: here an expression is over {' and '.join(of)}")
        return cls(text)

    @property
    def is_constant(self) -> bool:
        """Whether it reads nothing of any event."""
        return not program_of(self.text).roots

    def value(self, event: Event, awaited: Event | None = None) -> Any:
        """Its JSON value; None where a type does not fit."""
        return program_of(self.text).value(event, awaited)

    def holds(self, event: Event, awaited: Event | None = None) -> bool:
        """Whether it is true; what is missing, of another type or no boolean is not."""
        program = program_of(self.text)
        necessary = program.equality
        if necessary is not None and awaited is not None:
            value = necessary.program.value(event)
            if isinstance(value, SCALARS):
                # Exact where CEL compares numbers as floats; and most candidates need no CEL at all.
                same = are_same(seek(awaited, necessary.path), value)
                if necessary.alone or not same:
                    return same
        return program.value(event, awaited) is True

    def key(self, event: Event) -> str:
        """The text of its value that names a key of flow control: a string as it is, all else as `canonical`."""
        value = self.value(event)
        return shortened(value) if isinstance(value, str) and not UNSTORABLE.search(value) else canonical(value)

    def equality(self, event: Event) -> tuple[str, str] | None:
        """Where an awaited event must have which value: the path for `at`, and the canonical text of the value.

        None when no top-level `&&`-part is `async.<path> == <expression without async>`, or its value is null, a
        list or an object.
        """
        necessary = program_of(self.text).equality
        if necessary is None:
            return None
        value = necessary.program.value(event)
        return (".".join(map(str, necessary.path)), canonical(value)) if isinstance(value, SCALARS) else None

    def needs(self, event: Event) -> dict[str, Any]:
        """The parts of an event that it reads: evaluated over them it gives the same as over the whole event."""
        return parts_of(event, program_of(self.text).stored)


def matching(path: str) -> Expression:
    """The expression of `match=`: both events have the same value at this path, and it is not null.

    Raises:
        ValueError: the path is not made of names and dots, or names no field of an event.
    """
    first, *rest = path.split(".")
    if first not in FIELDS or not all(re.fullmatch(r"[\w-]+", name) for name in rest):
        raise ValueError(
            f"{path!r} is no path in an event: write names and dots, as data.user_id, first one of {', '.join(FIELDS)}"
        )
    tail = first + "".join(map(_step, rest))
    return Expression.compile(f"event.{tail} != null && async.{tail} == event.{tail}", of=("event", "async"))


def _step(name: str) -> str:
    if name.isdecimal():
        return f"[{int(name)}]"
    return f".{name}" if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) and name not in WORDS else f'["{name}"]'
