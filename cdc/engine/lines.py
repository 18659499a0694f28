"""What a run tells its logger: passed on to the service's log, and kept with the run, each line once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import orjson
import structlog

from cdc.engine.bodies import inside
from cdc.store.journal import LogRecord

MOST = 1000
"""Lines kept of one execution of a run; the service's log has them all."""

_LONGEST = 8000


class Lines:
    """Collects lines while a handler runs. Those told while it is replayed over `memos` were told before."""

    def __init__(self, run_id: str, function_id: str, memos: int) -> None:
        self._run_id = run_id
        self._log = structlog.get_logger("cdc.run").bind(run=run_id, function=function_id)
        self._unreached = memos
        self._held: list[tuple[str, dict[str, Any]]] = []
        self._new: list[LogRecord] = []
        self._kept = 0

    @property
    def logger(self) -> structlog.typing.FilteringBoundLogger:
        """What the handler is given."""
        bound = structlog.wrap_logger(
            None, processors=[self._take], wrapper_class=structlog.make_filtering_bound_logger(0)
        )
        return cast("structlog.typing.FilteringBoundLogger", bound)

    def replayed(self) -> None:
        """A memoised step was reached: what was told on the way to it is known."""
        self._held.clear()
        self._unreached -= 1

    def live(self) -> None:
        """A step without a memo, or the end, was reached: what was told since the last memo is new."""
        self._unreached = 0
        for level, fields in self._held:
            self._tell(level, fields)
        self._held.clear()

    def take(self) -> list[LogRecord]:
        """The new lines, to be stored."""
        lines, self._new = self._new, []
        return lines

    def _take(self, logger: Any, level: str, fields: Any) -> Any:
        if self._unreached > 0 and inside.get() is None:  # a body never runs in a replay
            self._held.append((level, dict(fields)))
        else:
            self._tell(level, fields)
        raise structlog.DropEvent

    def _tell(self, level: str, fields: Mapping[str, Any]) -> None:
        rest = dict(fields)
        line = _storable(str(rest.pop("event", ""))[:_LONGEST])
        getattr(self._log, level)(line, **rest)
        self._kept += 1
        if self._kept <= MOST:
            self._new.append(LogRecord(self._run_id, level, line, _document(rest)))


def _document(fields: Mapping[str, Any]) -> str:
    try:
        document = orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        document = _odd(fields)
    return document if len(document) <= _LONGEST else "{}"


def _odd(fields: Mapping[str, Any]) -> str:
    """What orjson refuses: large integers, halves of surrogate pairs; and what has no text at all has no field."""
    try:
        return json.dumps(fields, default=str, skipkeys=True)
    except Exception:  # noqa: BLE001 - no line that is told makes its run fail
        return "{}"


def _storable(text: str) -> str:
    """A text that Postgres takes: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\\0").encode(errors="replace").decode()
