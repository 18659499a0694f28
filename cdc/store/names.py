"""Names as SQL writes them, read from a setting one token after the other."""

from __future__ import annotations

import re

from cdc.errors import ConfigurationError

_NAME = r'"(?:[^"]|"")+"|[^\W\d][\w$]*'
_QUOTED = re.compile(
    r"""[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|(\$\w*\$).*?\1|--[^\n]*|/\*.*?\*/""", re.DOTALL
)
"""What may hold a semicolon or a bracket that means nothing: strings, names, comments."""

_VALUE = re.compile(r"\s*('(?:[^']|'')*'|\w[\w.]*)")


def quoted(*names: str) -> str:
    """As SQL writes them, in double quotes where needed: `public."Order"`."""
    return ".".join(
        name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"' for name in names
    )


def table_of(text: str) -> tuple[str, str]:
    """The schema, public if none is given, and the name, of a table on the command line."""
    schema, _, name = text.rpartition(".")
    return schema or "public", name


class Reader:
    """Takes one token after the other: names, and these symbols. `setting` and `example` are for the messages."""

    def __init__(self, text: str, *, setting: str, example: str, symbols: tuple[str, ...]) -> None:
        self._text = text
        self._setting = setting
        self._example = example
        self._symbols = symbols
        self._pattern = re.compile(rf"\s*({_NAME}|{'|'.join(map(re.escape, symbols))}|$)")
        self._next = self._start = 0
        self._token = ""
        self._read()

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return not self._token

    def comes(self, *tokens: str) -> bool:
        """Whether one of these symbols or words comes next; words in any case, without quotes."""
        return self._token.lower() in tokens

    def skip(self, symbol: str) -> bool:
        """Take this symbol or word if it comes next."""
        if not self.comes(symbol):
            return False
        self._read()
        return True

    def expect(self, symbol: str) -> None:
        """Take this symbol.

        Raises:
            ConfigurationError: something else comes next.
        """
        if not self.skip(symbol):
            raise self.unexpected(f"{symbol!r}")

    def name(self, what: str) -> str:
        """Take a name; it folds to lower case unless in double quotes.

        Raises:
            ConfigurationError: something else comes next.
        """
        token = self._token
        if not token.startswith('"') and not re.match(r"\w", token):
            raise self.unexpected(f"{what} name")
        self._read()
        # Postgres folds ASCII alone.
        return token[1:-1].replace('""', '"') if token.startswith('"') else re.sub("[A-Z]", _lower, token)

    def names(self, what: str) -> list[str]:
        """A name, or a schema's and a name."""
        first = self.name(what)
        return [first, self.name(what)] if self.skip(".") else [first]

    def value(self, after: str) -> str:
        """Take this symbol and the value that follows it: a word or a number, or a text in single quotes.

        Raises:
            ConfigurationError: the symbol does not come next, or no value follows.
        """
        if self._token != after:
            raise self.unexpected(f"{after!r}")
        match = _VALUE.match(self._text, self._next)
        if match is None:
            self._token, self._start = self._text[self._next : self._next + 1], self._next
            raise self.unexpected("a number, a word, or a text in single quotes")
        self._next = match.end()
        self._read()
        return match[1][1:-1].replace("''", "'") if match[1].startswith("'") else match[1]

    def expression(self, after: str) -> str:
        """Take this symbol, and the SQL that follows it up to a semicolon of the setting's own or the end.

        Raises:
            ConfigurationError: the symbol does not come next, there is no SQL, or its brackets do not match.
        """
        if self._token != after:
            raise self.unexpected(f"{after!r}")
        start = end = self._next
        depth = 0
        while end < len(self._text) and (depth or self._text[end] != ";"):
            passed = _QUOTED.match(self._text, end)
            depth += {"(": 1, ")": -1}.get(self._text[end], 0)
            if depth < 0:
                break
            end = passed.end() if passed else end + 1
        expression = self._text[start:end].strip()
        self._next = end
        if depth or not expression:
            self._token, self._start = self._text[end : end + 1], end
            raise self.unexpected("a condition in SQL whose brackets match")
        self._read()
        return expression

    def unexpected(self, expected: str) -> ConfigurationError:
        """What to raise where something else was expected."""
        found = repr(self._token) if self._token else "the end"
        return ConfigurationError(
            f"{self._setting} cannot be read at character {self._start + 1}: expected {expected}, found {found}.",
            hint=f"Write it like: {self._example}",
        )

    def _read(self) -> None:
        """Go to the next token; the empty one stands at the end."""
        match = self._pattern.match(self._text, self._next)
        if match is None:
            start = len(self._text) - len(self._text[self._next :].lstrip())
            self._token, self._start = self._text[start], start
            raise self.unexpected(f"a name or one of {' '.join(self._symbols)}")
        self._token, self._start, self._next = match[1], match.start(1), match.end()


def _lower(letter: re.Match[str]) -> str:
    return letter[0].lower()
