"""What a step is given: kept for those who look at its run, and changed for one that replays it with another input."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from cdc.authoring.event import Event
from cdc.engine import memo
from cdc.errors import NonRetriableError
from cdc.store.json import loads

MOST = 16 * 1024
"""Characters of an input that are kept with a step; of what models are asked, all are."""

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
T = TypeVar("T")

_PLAIN = (dict, list, str, int, float, bool, type(None))
_EVENT = {field.name for field in dataclasses.fields(Event)}


def arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """A call's arguments as JSON; the name of the class in place of one that is none.

    Raises:
        MemoError: they are too large.
    """
    try:
        return _document(args, kwargs)
    except memo.MemoError:
        return _document([_shown(value) for value in args], {name: _shown(value) for name, value in kwargs.items()})


def kept(write: Callable[[], str]) -> str | None:
    """An input that is not too long to be kept."""
    try:
        document = write()
    except memo.MemoError:
        return None
    return document if len(document) <= MOST else None


def of_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """The arguments of a step's function, where it has any."""
    if not args and not kwargs:
        return None
    try:
        document = _document(args, kwargs)
    except memo.MemoError:
        return kept(partial(arguments, args, kwargs))
    return document if len(document) <= MOST else None


def of_data(data: Mapping[str, Any]) -> str | None:
    """The data of an event that a step sends by itself."""
    return kept(partial(memo.dump, "its data", data))


def of_events(events: Sequence[Event]) -> str | None:
    """Events that a step sends, without what is left out of them."""
    told = [{name: value for name, value in event.as_dict().items() if value or name == "data"} for event in events]
    return kept(partial(memo.dump, "its events", told))


def changed_call(key: str, edit: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """The arguments that somebody gave in place of these, each made into what stood there; what was not changed stays.

    Raises:
        NonRetriableError: they cannot be used.
    """
    given = dict(checked(key, edit, dict, '{"args": [...], "name": ...}, as the step shows its input'))
    listed = checked(key, given.pop("args", []), list, '{"args": [...]}')
    like = partial(_like, key)
    return (
        tuple(like(value, args[number]) if number < len(args) else value for number, value in enumerate(listed)),
        {name: like(value, kwargs[name]) if name in kwargs else value for name, value in given.items()},
    )


def changed_events(key: str, edit: Any) -> list[Event]:
    """The events that somebody gave in place of those that a step sends.

    Raises:
        NonRetriableError: they cannot be used.
    """
    form = '[{"name": "...", "data": {...}}]'
    events = [checked(key, each, dict, form) for each in checked(key, edit, list, form)]
    if any(not isinstance(each.get("name"), str) or each.keys() - _EVENT for each in events):
        raise NonRetriableError(f"step {key!r}: its edited input must be {form}, with id, ts, user and v if need be")
    return [Event(**each) for each in events]


def checked(key: str, edit: Any, kind: type[T], form: str) -> T:
    """The edit, if it has this form.

    Raises:
        NonRetriableError: it has not.
    """
    if not isinstance(edit, kind):
        raise NonRetriableError(f"step {key!r}: its edited input must be {form}")
    return edit


def _document(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    return memo.dump("the input", {"args": args, **kwargs} if args else kwargs)


def _shown(value: Any) -> Any:
    try:
        memo.dump("an argument", value)
    except memo.MemoError:
        return f"<{value.__qualname__ if isinstance(value, type) else type(value).__qualname__}>"
    return value


def _like(key: str, value: Any, before: Any) -> Any:
    """A JSON value as the type of the argument that it takes the place of."""
    if memo.dump("an argument", value) == memo.dump("an argument", loads(memo.dump("an argument", _shown(before)))):
        return before
    if type(before) in _PLAIN:
        return value
    try:
        return TypeAdapter(type(before)).validate_python(value)
    except (ValidationError, PydanticUserError) as unfit:
        reason = unfit.title if isinstance(unfit, ValidationError) else type(before).__name__
        raise NonRetriableError(f"step {key!r}: its edited input has no {reason} where its code passes one") from None
