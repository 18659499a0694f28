"""What SDKs send, read member by member: their spellings differ, and anybody may have written it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
_PART = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(ns|us|µs|ms|[smhdw])", re.ASCII)
_LONGEST = 100
"""Characters of a value that an error repeats."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""What a text in Postgres cannot hold."""


class Misfit(ValueError):
    """A value is not of the kind that is expected; says which, and what it is."""


class Fields:
    """The members of a JSON object by their names, however those are spelled: appName, appname and app_name are one.

    A null counts as none, and so does an empty text. What is not read is not looked at. All methods raise Misfit
    where a value is of another kind.
    """

    def __init__(self, given: object) -> None:
        if not isinstance(given, Mapping):
            raise Misfit(f"an object is expected, not {shown(given)}")
        self._of: dict[str, Any] = {}
        for name, value in given.items():
            if value is not None and isinstance(name, str):
                self._of.setdefault(_plain(name), value)

    def __contains__(self, name: str) -> bool:
        return _plain(name) in self._of

    def get(self, name: str) -> Any:
        """The value as it stands; None where there is none."""
        return self._of.get(_plain(name))

    def text(self, name: str) -> str | None:
        """A text."""
        found = self.get(name)
        if found is None or found == "":
            return None
        if not isinstance(found, str) or _UNSTORABLE.search(found):
            raise Misfit(f"{name} must be a text, not {shown(found)}")
        return found

    def whole(self, name: str) -> int | None:
        """A whole number."""
        return None if name not in self else whole(name, self.get(name))

    def seconds(self, name: str) -> float | None:
        """A duration: a text such as `1h30m` or `7d`, or a number of milliseconds."""
        found = self.get(name)
        if found is None or found == "":
            return None
        if isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < 2**53:
            return found / 1000
        total = _seconds(found) if isinstance(found, str) else None
        if total is None:
            raise Misfit(f"{name} must be a duration such as 90s, 5m or 1h30m, not {shown(found)}")
        return total

    def list(self, name: str) -> list[Any]:
        """A list; an empty one where there is none."""
        found = self.get(name)
        if found is None:
            return []
        if not isinstance(found, list):
            raise Misfit(f"{name} must be a list, not {shown(found)}")
        return found

    def each(self, name: str) -> Iterator[Fields]:
        """The objects of a list."""
        return map(Fields, self.list(name))

    def object(self, name: str) -> Fields | None:
        """An object; None where there is none, or one without members that say something."""
        found = self.get(name)
        if found is None:
            return None
        inner = Fields(found)
        return inner if inner._of else None

    def first(self, *names: str) -> Fields:
        """The object of the first of these names, else the first object that there is, else one without members."""
        for name in (*names, *self._of):
            if isinstance(self.get(name), Mapping):
                return Fields(self.get(name))
        return Fields({})


def whole(name: str, given: object) -> int:
    """A whole number, whether it is written with a decimal point or not.

    Raises:
        Misfit: it is none.
    """
    if isinstance(given, float) and given.is_integer() and abs(given) < 2**53:
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise Misfit(f"{name} must be a whole number, not {shown(given)}")
    return given


def shown(given: object) -> str:
    """A value in an error's sentence: the beginning of a long one."""
    if isinstance(given, Mapping | list):
        return "an object" if isinstance(given, Mapping) else "a list"
    text = repr(given)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _seconds(text: str) -> float | None:
    parts = _PART.findall(text) if len(text) <= _LONGEST else []
    if not parts or "".join(number + unit for number, unit in parts) != text.replace(" ", ""):
        return None
    return float(sum(float(number) * _UNITS[unit] for number, unit in parts))
