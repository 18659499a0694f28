"""Logs: for people on a terminal, JSON lines otherwise. Never a password, never row data at info level.

A line says where it was told (`about`), and no value in it can pass for another line (`printable`).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from contextvars import Context, ContextVar, copy_context
from typing import Literal

import structlog
from opentelemetry import context, trace
from structlog.typing import EventDict, Processor, WrappedLogger

from cdc.printable import block, bounded, cut_in_front, escaped, shown

Format = Literal["auto", "console", "json"]

About = Callable[[], Mapping[str, object]]

about: ContextVar[About | None] = ContextVar("about", default=None)
"""What is done here and now, also in threads and tasks made here: asked for its fields only when a line is told."""


def configure(level: str = "info", form: Format = "auto", **bound: object) -> None:
    """Set up structlog for this process; `bound` goes into every line."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _say_where,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console),
            # Frames and messages; no local variables, which may be passwords and rows.
            structlog.processors.format_exc_info,
            _bound,
            *(_for_console() if console else [structlog.processors.JSONRenderer(default=shown)]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Forwarding()], force=True)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**bound)


def apart() -> Context:
    """For a task that works for others, too: where it was begun, and in which span, says nothing of it."""
    own = copy_context()
    own.run(about.set, None)
    own.run(context.attach, context.Context())
    return own


class _Forwarding(logging.Handler):
    """What libraries say through the standard library goes the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit the message
            message = str(record.msg) if isinstance(record.msg, str) else shown(record.msg)
        more = {"exc_info": record.exc_info} if record.exc_info and record.exc_info[0] else {}
        # Not formatted again: a message may have a percent sign.
        structlog.get_logger().log(record.levelno, message, logger=record.name, **more)


def _say_where(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The fields of what is done; those that the line has itself win."""
    if (told := about.get()) is not None:
        for name, value in told().items():
            event.setdefault(name, value)
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event.setdefault("trace_id", f"{span.trace_id:032x}")
        event.setdefault("span_id", f"{span.span_id:016x}")
    return event


def _bound(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Nothing huge, nothing that cannot be written."""
    if isinstance(exception := event.get("exception"), str):
        event["exception"] = cut_in_front(exception)
    return {name: value if name == "exception" else bounded(value) for name, value in event.items()}


def _for_console() -> list[Processor]:
    return [_escape, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]


class _Quoted(str):
    """A text that the renderer shall show as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _escape(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return {escaped(name): _escaped(name, value) for name, value in event.items()}


def _escaped(name: str, value: object) -> str:
    text = value if isinstance(value, str) else shown(value)
    if name in ("exception", "stack"):
        return block(text)
    if name in ("event", "level", "logger", "timestamp"):
        return escaped(text)
    if isinstance(value, str):
        return text if text.isprintable() else _Quoted(repr(text))
    return _Quoted(escaped(text))
