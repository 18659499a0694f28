"""Arguments that say which runs a command is for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from cdc import clock
from cdc.errors import ConfigurationError
from cdc.store.choice import STATUSES, Choice


def choice(
    functions: Sequence[str] | None, statuses: Sequence[str] | None, since: str | None, until: str | None
) -> Choice:
    """What --function, --status, --since and --until describe.

    Raises:
        ConfigurationError: one of them cannot be used.
    """
    if unknown := set(statuses or ()) - set(STATUSES):
        raise ConfigurationError(f"There is no status {min(unknown)!r}.", hint=f"There are {', '.join(STATUSES)}.")
    return Choice(functions or None, statuses or None, past("--since", since), past("--until", until))


def past(option: str, text: str | None) -> datetime | None:
    """The moment that an option gives.

    Raises:
        ConfigurationError: it gives none.
    """
    return _read(option, text, clock.past)


def moment(option: str, text: str | None) -> datetime | None:
    """The same, where a duration makes no sense."""
    return _read(option, text, clock.moment)


def uuid(text: str, what: str = "run") -> str:
    """The id of a run, or of something else.

    Raises:
        ConfigurationError: nothing can have it.
    """
    try:
        return str(UUID(text))
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is not the id of {'an' if what[0] in 'aeiou' else 'a'} {what}.",
            hint=f"'cdc {what}s' lists them with their ids.",
        ) from None


def agreed(question: str) -> bool:
    """What a person answers; where there is none, no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() == "y"
    except EOFError:
        print(file=sys.stderr)
        return False


def _read(option: str, text: str | None, read: Callable[[str], datetime]) -> datetime | None:
    try:
        return read(text) if text else None
    except ValueError as unusable:
        raise ConfigurationError(f"{option}: {unusable}.", hint="See --help.") from None
