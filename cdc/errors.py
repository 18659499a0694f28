"""The exception tree: each class says whether to retry and what the operator does next.

Three families, never mixed: errors of the service (`CdcError`), errors an author raises to steer a run
(`NonRetriableError`, `RetryAfter`, `StepError`), and interrupts, which are control flow and no errors at all.
`docs/errors.md` has one row per class; a test keeps it complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class CdcError(Exception):
    """What went wrong in one sentence, and in `hint` what to do next.

    `exit_code` follows sysexits(3). `transient` says that trying again may help without anybody acting.
    """

    exit_code: ClassVar[int] = 70
    transient: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ConfigurationError(CdcError):
    """A setting, a declaration or an argument cannot be used as it is."""

    exit_code = 78


class DiscoveryError(ConfigurationError):
    """A function file cannot be loaded, or two functions share an id."""


class DatabaseUnreachable(CdcError):
    """No connection could be made; it may come back."""

    exit_code = 69
    transient = True


class DatabaseRefused(CdcError):
    """The server answered and said no: password, database, role or right."""

    exit_code = 77


class ServerNotReady(CdcError):
    """The server lacks what logical replication or embedding needs (wal_level, version, pgvector ...)."""

    exit_code = 78


class ProtocolError(CdcError):
    """Bytes from the server do not follow the replication protocol."""

    exit_code = 76


class StreamLost(CdcError):
    """The replication connection ended; the listener connects again from its checkpoint."""

    exit_code = 69
    transient = True


class SlotInUse(StreamLost):
    """Another process holds the slot; it may be our own old connection, so it is tried again."""


class CheckpointMismatch(CdcError):
    """Checkpoint, slot and server do not belong together; going on would lose changes silently."""

    exit_code = 65


class SlotLost(CheckpointMismatch):
    """The slot was dropped or invalidated: what the server has written since the checkpoint cannot be read any more."""


class ListenerFenced(CdcError):
    """Another listener moved this checkpoint; this one must not write any more."""

    exit_code = 75


class LeaseLost(CdcError):
    """This worker's lease ended and its runs belong to others now; whatever it still writes is refused."""

    exit_code = 75
    transient = True


class ProviderFailed(CdcError):
    """An embedding provider did not answer, or refused."""

    exit_code = 69
    transient = True


class MigrationError(CdcError):
    """The schema in the database is not one that this version can work with."""

    exit_code = 78


class EventsRefused(CdcError):
    """A service does not take events that a client sent; those before the first bad one are `accepted`."""

    exit_code = 65

    def __init__(self, message: str, *, hint: str = "", accepted: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.accepted = list(accepted)


class ServiceUnreachable(CdcError):
    """A client could not send its events, however often it tried."""

    exit_code = 69
    transient = True


class NonRetriableError(Exception):
    """Raised by an author: this step or function must not be tried again."""


class RetryAfter(Exception):
    """Raised by an author: try again, but not before `delay` (seconds, a duration text or a datetime).

    A subclass whose `counts_as_attempt` is False may come any number of times: for somebody else's outage.
    """

    counts_as_attempt: ClassVar[bool] = True

    def __init__(self, message: str, delay: object) -> None:
        super().__init__(message)
        self.delay = delay


class Thrown(Exception):
    """What code of an app threw, as its SDK told it: its `name`, its `message` and what else, `more`."""

    def __init__(self, name: str, message: str, more: Mapping[str, Any] | None = None) -> None:
        Exception.__init__(self, message)  # what a subclass inherits besides may ask for more
        self.name = name
        self.message = message
        self.more = more or {}


class StepError(Exception):
    """A step used up its attempts. Raised where the handler awaits it; may be caught, the run goes on.

    The original class cannot be rebuilt from a memo, so its name and text are kept as `name` and `message`.
    """

    def __init__(self, step: str, name: str, message: str) -> None:
        super().__init__(f"step {step!r} failed: {name}: {message}")
        self.step = step
        self.name = name
        self.message = message


class EventUnfit(Exception):
    """An event does not fit the model that the function's trigger declares; the run fails without a retry."""


class Interrupt(BaseException):
    """Control flow of the engine, never an error: `except Exception` in a handler must not eat it."""
