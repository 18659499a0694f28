"""`cdc replay`, `cancel`, `pause`, `resume`, `invoke` and `signal`: what people do with runs and functions."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import orjson
from rich.console import Console
from rich.progress import Progress

from cdc import config
from cdc.cli import choosing
from cdc.cli.showing import show
from cdc.errors import ConfigurationError
from cdc.events.hands import Hands, Moved, to_cancel, to_replay
from cdc.events.repeating import Edits, Repeated
from cdc.service import hands
from cdc.store import choice as choices
from cdc.store.choice import Choice, Counted
from cdc.store.json import loads

_REASON = "cancelled with cdc cancel"

T = TypeVar("T")


def cancel(
    *run: str,
    function: list[str] | None = None,
    status: list[str] | None = None,
    since: str | None = None,
    until: str | None = None,
    yes: bool = False,
) -> int:
    """Cancel runs: those that are named, or all unfinished ones of a choice. A step under way is stopped.

    Args:
        run: ids of runs.
        function: runs of this function; may be repeated.
        status: runs that are queued, running, sleeping or waiting; may be repeated.
        since: runs created since then: 2026-05-01, 2026-05-01T12:00Z, or 2h for two hours ago.
        until: runs created before then.
        yes: do not ask before many are cancelled.
    """
    chosen = choosing.choice(function, status, since, until)
    if run:
        _only_ids(chosen)
        return asyncio.run(_cancel([choosing.uuid(each) for each in run]))
    _narrowed(chosen)
    return asyncio.run(
        _many(to_cancel(chosen), "Cancel", "cancelled", lambda mine, all_: mine.cancel_all(all_, _REASON), yes=yes)
    )


def replay(
    *run: str,
    function: list[str] | None = None,
    status: list[str] | None = None,
    since: str | None = None,
    until: str | None = None,
    yes: bool = False,
    from_step: str | None = None,
    input: str | None = None,
    data: str | None = None,
) -> int:
    """Give the events of ended runs to new runs of the same functions: those named, or all failed ones of a choice.

    One run may be replayed from a step on, with another input there, or with another event.

    Args:
        run: ids of runs.
        function: runs of this function; may be repeated.
        status: runs that are completed, failed or cancelled, rather than failed only; may be repeated.
        since: runs created since then: 2026-05-01, 2026-05-01T12:00Z, or 2h for two hours ago.
        until: runs created before then.
        yes: do not ask before many are replayed.
        from_step: id of the step that a single run begins at: what ended before that is not done again.
        input: what that step is given in place of its own input, which 'cdc runs RUN' shows: JSON.
        data: what the event carries in place of its own data: a JSON object.
    """
    chosen = choosing.choice(function, status, since, until)
    if (from_step, input, data) != (None, None, None):
        if len(run) != 1:
            raise ConfigurationError("--from-step, --input and --data are for one run.", hint="Name that run.")
        _only_ids(chosen)
        return asyncio.run(_replay_from(choosing.uuid(run[0]), _edits(from_step, input, data)))
    if run:
        _only_ids(chosen)
        return asyncio.run(_replay([choosing.uuid(each) for each in run]))
    _narrowed(chosen)
    return asyncio.run(_many(to_replay(chosen), "Replay", "replayed", Hands.replay_all, yes=yes))


def pause(function: str) -> int:
    """Start no more runs of a function. What it has begun goes on; events still create runs, which wait.

    Args:
        function: its id.
    """
    count = asyncio.run(_known(function, lambda mine: mine.pause(function)))
    show(f"{function} is paused; {_runs(count)} that had not started {_stand(count)} aside.")
    return 0


def resume(function: str) -> int:
    """Let a paused function start runs again, those that waited first.

    Args:
        function: its id.
    """
    count = asyncio.run(_known(function, lambda mine: mine.resume(function)))
    show(f"{function} goes on; {_runs(count)} had waited.")
    return 0


def invoke(function: str, data: str = "{}") -> int:
    """Start one run of a function, whatever its triggers.

    Args:
        function: its id.
        data: what its event carries: a JSON object.
    """
    event_id = asyncio.run(_known(function, lambda mine: mine.invoke(function, _object(data))))
    show(f"{function} is invoked; its event is {event_id}.")
    return 0


def signal(name: str, data: str = "{}") -> int:
    """Send a signal to the run that waits for it.

    Args:
        name: the signal's name.
        data: what it carries: a JSON object.
    """
    run_id = asyncio.run(_signal(name, _object(data)))
    show(f"The run {run_id} goes on." if run_id else "No run waits for this signal.")
    return 0 if run_id else 1


async def _cancel(run_ids: list[str]) -> int:
    async with hands.acting(config.load()) as conn:
        cancelled = await Hands(conn).cancel(run_ids, _REASON)
    for run_id in run_ids:
        show(f"{run_id} {'is cancelled' if run_id in cancelled else 'has ended already, or there is no such run'}.")
    return 0 if len(cancelled) == len(set(run_ids)) else 1


async def _replay(run_ids: list[str]) -> int:
    async with hands.acting(config.load()) as conn:
        return _told(await Hands(conn).replay(run_ids))


async def _replay_from(run_id: str, edits: Edits) -> int:
    async with hands.acting(config.load()) as conn:
        return _told(await Hands(conn).replay_from(run_id, edits))


def _told(repeated: Repeated) -> int:
    for run_id, new in repeated.runs.items():
        show(f"{run_id} is replayed by {new}.")
    for run_id, reason in repeated.skipped.items():
        show(f"{run_id} is not replayed: {reason}.")
    return 1 if repeated.skipped else 0


async def _many(
    choice: Choice, ask: str, done: str, act: Callable[[Hands, Counted], AsyncIterator[Moved]], *, yes: bool
) -> int:
    async with hands.acting(config.load()) as conn:
        counted = await choices.count(conn, choice)
        if not counted.runs:
            show("There are no such runs.")
            return 0
        if not yes and not await asyncio.to_thread(choosing.agreed, f"{ask} {_runs(counted.runs)}?"):
            show("Nothing was changed.")
            return 1
        moved = 0
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task(ask, total=counted.runs)
            async for page in act(Hands(conn), counted):
                await hands.tell(conn)
                moved += page.done
                progress.advance(bar, page.seen)
    show(f"{_runs(moved)} {'is' if moved == 1 else 'are'} {done}.")
    return 0


async def _known(function: str, act: Callable[[Hands], Awaitable[T | None]]) -> T:
    """Act on a function.

    Raises:
        ConfigurationError: there is none of this id.
    """
    async with hands.acting(config.load()) as conn:
        done = await act(Hands(conn))
    if done is None:
        raise ConfigurationError(
            f"There is no function {function!r}.", hint="A function is known once a service that has it was started."
        )
    return done


async def _signal(name: str, data: bytes) -> str | None:
    if not name or not name.isprintable() or " " in name:
        raise ConfigurationError(f"{name!r} is not the name of a signal.", hint="Name the one that a run waits for.")
    async with hands.acting(config.load()) as conn:
        return await Hands(conn).signal(name, data)


def _only_ids(choice: Choice) -> None:
    if choice != Choice():
        raise ConfigurationError("Name runs, or describe them with options, not both.", hint="See --help.")


def _narrowed(choice: Choice) -> None:
    if choice == Choice():
        raise ConfigurationError(
            "Which runs?", hint="Give their ids, or at least one of --function, --status, --since and --until."
        )


def _edits(step: str | None, input: str | None, data: str | None) -> Edits:
    try:
        given = None if input is None else loads(input)
    except ValueError:
        raise ConfigurationError("The input is not JSON.", hint="""Write it like '{"args": [1]}'.""") from None
    try:
        return Edits(step, given, None if data is None else loads(_object(data)))
    except ValueError as unusable:
        raise ConfigurationError(f"{str(unusable).capitalize()}.", hint="Add --from-step.") from None


def _object(data: str) -> bytes:
    try:
        if isinstance(orjson.loads(data), dict):
            return data.encode()
    except ValueError:
        pass
    raise ConfigurationError("The data is not a JSON object.", hint="""Write it like '{"id": 1}'.""")


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"


def _stand(count: int) -> str:
    return "stands" if count == 1 else "stand"
