"""Where the text of a CEL expression speaks of the events. The CEL library shows no syntax tree, so tokens must do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from cdc.authoring.language import cel
from cdc.authoring.values import Path

ROOTS = ("event", "async")
FIELDS = ("id", "name", "data", "ts", "user", "v")
# Names that are values in CEL without being variables of ours.
WORDS = frozenset({"true", "false", "null", "in"})
TYPES = frozenset({"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"})
MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
LOOSER = frozenset({"||", "?", ":"})
CLOSING = {"(": ")", "[": "]", "{": "}"}

TOKEN = re.compile(
    r"""
      (?P<space>  \s+ | //[^\n]* )
    | (?P<string> (?:[bB]?[rR]|[rR][bB]) (?: \"{3}.*?\"{3} | '{3}.*?'{3} | "[^"\n]*" | '[^'\n]*' )
                | [bB]? (?: \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3}
                          | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' ) )
    | (?P<number> 0[xX][0-9a-fA-F]+[uU]? | \d*\.\d+(?:[eE][+-]?\d+)? | \d+(?:[eE][+-]?\d+|[uU])? )
    | (?P<name>   [A-Za-z_][A-Za-z0-9_]* )
    | (?P<sign>   && | \|\| | [=!<>]= | . )
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A piece of an expression."""

    kind: str
    text: str
    start: int
    end: int


class Reference(NamedTuple):
    """A root name with what is read of it, such as `event.data.x`; `present` when it stands alone in `has(...)`."""

    root: str
    path: Path
    start: int
    end: int
    present: bool


class Necessary(NamedTuple):
    """A part `async.<path> == <other>` without which an expression does not hold, and whether it is all there is."""

    path: Path
    other: str
    alone: bool


class Source:
    """The tokens of one expression that the CEL library has parsed, so that brackets and quotes are known to match."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [
            Token(str(match.lastgroup), match[0], match.start(), match.end())
            for match in TOKEN.finditer(text)
            if match.lastgroup != "space"
        ]
        self._closes = _pairs(self.tokens)
        self._scopes = list(self._bound())

    def _text(self, place: int) -> str:
        return self.tokens[place].text if 0 <= place < len(self.tokens) else ""

    def _bound(self) -> Iterator[tuple[str, int, int]]:
        """The variables of macros: (name, from, to) in places of tokens."""
        for place, token in enumerate(self.tokens):
            if (
                token.text in MACROS
                and self._text(place - 1) == "."
                and self._text(place + 1) == "("
                and self._text(place + 3) == ","
            ):
                name = self._text(place + 2)
                if name in ROOTS:
                    raise ValueError(f"{name!r} cannot name an element in {token.text}(...), it is an event")
                yield name, place + 1, self._closes[place + 1]

    @property
    def bound(self) -> set[str]:
        """The names of the variables of macros."""
        return {name for name, _, _ in self._scopes}

    def _is_bound(self, place: int) -> bool:
        """Whether the name at this place is a macro's variable there."""
        return any(name == self._text(place) and start < place < end for name, start, end in self._scopes)

    def references(self) -> Iterator[Reference]:
        """What is read of the events and of the variables of macros, and each use of `size`, in order.

        Raises:
            ValueError: a variable, or a field of an event, does not exist.
        """
        for place, token in enumerate(self.tokens):
            if token.text == "size" and self._text(place + 1) == "(":
                yield Reference("size", (), token.start, token.end, present=False)
            if token.kind != "name" or self._text(place - 1) == "." or self._text(place + 1) == "(":
                continue
            bound = self._is_bound(place)
            if not bound and token.text not in ROOTS:
                if token.text in WORDS | TYPES:
                    continue
                raise ValueError(f"there is no variable {token.text!r}; an expression can use event and async")
            path, end = self._chain(place)
            if not bound and path and path[0] not in FIELDS:
                raise ValueError(f"an event has no field {path[0]!r}; it has {', '.join(FIELDS)}")
            present = self._text(place - 2) == "has" and self._text(place - 1) == "(" and self._text(end) == ")"
            first, last = (place - 2, end) if present else (place, end - 1)
            yield Reference(token.text, path, self.tokens[first].start, self.tokens[last].end, present)

    def _chain(self, place: int) -> tuple[Path, int]:
        """What follows a root as `.name`, `["name"]` or `[0]`, and the place of the first token after that."""
        path: list[str | int] = []
        place += 1
        while True:
            sign, token = self._text(place), self._token(place + 1)
            if sign == "." and token.kind == "name" and self._text(place + 2) != "(":
                path.append(token.text)
                place += 2
            elif sign == "[" and self._text(place + 2) == "]" and (key := _literal(token)) is not None:
                path.append(key)
                place += 3
            else:
                return tuple(path), place

    def _token(self, place: int) -> Token:
        return self.tokens[place] if place < len(self.tokens) else Token("end", "", 0, 0)

    def equality(self) -> Necessary | None:
        """The first top-level `&&`-part that says what `async` has somewhere."""
        parts = list(self._conjuncts(0, len(self.tokens)))
        for start, end in parts:
            found = self._equality(start, end)
            if found is not None:
                return Necessary(*found, alone=len(parts) == 1)
        return None

    def _conjuncts(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        start, end = self._bare(start, end)
        signs = [place for place in self._top(start, end) if self._text(place) in {"&&", *LOOSER}]
        if not signs or any(self._text(place) in LOOSER for place in signs):
            yield start, end
            return
        for left, right in zip([start - 1, *signs], [*signs, end], strict=True):
            yield from self._conjuncts(left + 1, right)

    def _equality(self, start: int, end: int) -> tuple[Path, str] | None:
        signs = [place for place in self._top(start, end) if self._text(place) in COMPARISONS | LOOSER]
        if len(signs) != 1 or self._text(signs[0]) != "==":
            return None
        left, right = self._bare(start, signs[0]), self._bare(signs[0] + 1, end)
        for (begin, stop), other in ((left, right), (right, left)):
            if self._text(begin) != "async" or "async" in self._roots(*other):
                continue
            path, after = self._chain(begin)
            if after == stop and path and all(key != "" and "." not in str(key) for key in path):
                return path, self.text[self.tokens[other[0]].start : self.tokens[other[1] - 1].end]
        return None

    def _roots(self, start: int, end: int) -> set[str]:
        return {self._text(place) for place in range(start, end) if self._text(place - 1) != "."}

    def _top(self, start: int, end: int) -> Iterator[int]:
        """The places that are inside no bracket."""
        place = start
        while place < end:
            yield place
            place = self._closes.get(place, place) + 1

    def _bare(self, start: int, end: int) -> tuple[int, int]:
        """Without the parentheses around it."""
        while self._text(start) == "(" and self._closes[start] == end - 1:
            start, end = start + 1, end - 1
        return start, end


def _pairs(tokens: list[Token]) -> dict[int, int]:
    """The place of each opening bracket with that of its closing one."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for place, token in enumerate(tokens):
        if token.text in CLOSING:
            opened.append(place)
        elif token.text in CLOSING.values():
            pairs[opened.pop()] = place
    return pairs


def _literal(token: Token) -> str | int | None:
    """The key that a literal in brackets names; None for what is no text and no whole number."""
    if token.kind == "number" and token.text.isdecimal():
        return int(token.text)
    if token.kind == "string":
        key = cel.evaluate(token.text)
        return key if isinstance(key, str) else None
    return None
