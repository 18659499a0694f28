"""What a run tells its logger: passed on to the service's log, and kept with the run, each line once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, cast

import orjson
import structlog

from cdc.engine.bodies import inside
from cdc.store.journal import LogRecord

MOST = 1000
"""Lines kept of one execution of a run; the service's log has them all."""

_LONGEST = 8000

_Everything = structlog.make_filtering_bound_logger(0)


_after: ContextVar[str] = ContextVar("after", default="")
"""The step that this branch of the handler took last."""


class Lines:
    """Collects lines while a handler runs. `told` is how many are kept already of each place.

    A line is known again by its place, which is the handler's attempt and the step that came before it in its branch,
    and by its number there. What a step's body tells is new whenever it runs.
    """

    def __init__(self, run_id: str, function_id: str, attempt: int, told: Mapping[str, int]) -> None:
        self._run_id = run_id
        self._function_id = function_id
        self._log: Any = None
        self._attempt = attempt
        self._told = told
        self._seen: Counter[str] = Counter()
        self._new: list[LogRecord] = []
        self._kept = 0

    @property
    def logger(self) -> structlog.typing.FilteringBoundLogger:
        """What the handler is given."""
        bound = structlog.wrap_logger(None, processors=[self._take], wrapper_class=_Everything)
        return cast("structlog.typing.FilteringBoundLogger", bound)

    def passed(self, step: str) -> None:
        """This branch of the handler has come to a step."""
        _after.set(step)

    def take(self) -> Sequence[LogRecord]:
        """The new lines, to be stored."""
        if not self._new:
            return ()
        lines, self._new = self._new, []
        return lines

    def _take(self, logger: Any, level: str, fields: Any) -> Any:
        place = None if inside.get() is not None else f"{self._attempt}/{_after.get()}"
        if place is None or not self._is_known(place):
            self._tell(level, dict(fields), place)
        raise structlog.DropEvent

    def _is_known(self, place: str) -> bool:
        self._seen[place] += 1
        return self._seen[place] <= self._told.get(place, 0)

    def _tell(self, level: str, fields: dict[str, Any], place: str | None) -> None:
        line = _storable(str(fields.pop("event", ""))[:_LONGEST])
        if self._log is None:
            self._log = structlog.get_logger("cdc.run").bind(run=self._run_id, function=self._function_id)
        try:
            getattr(self._log, level)(line, **fields)
        except Exception:  # noqa: BLE001 - a value without a text: no line that is told makes its run fail
            getattr(self._log, level)(line)
        self._kept += 1
        if self._kept <= MOST:
            self._new.append(LogRecord(self._run_id, place, level, line, _document(fields)))


def _document(fields: Mapping[str, Any]) -> str:
    try:
        document = orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        document = _odd(fields)
    return document if len(document) <= _LONGEST else "{}"


def _odd(fields: Mapping[str, Any]) -> str:
    """What orjson refuses, field by field: large integers, halves of surrogate pairs; what has no text is left out."""
    documents = {}
    for name, value in fields.items():
        with suppress(Exception):
            documents[name] = json.loads(json.dumps(value, allow_nan=False, default=str))
    return json.dumps(documents)


def _storable(text: str) -> str:
    """A text that Postgres takes: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\\0").encode(errors="replace").decode()
