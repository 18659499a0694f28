"""Cancels or replays the runs of a choice, as many in one go as a request may take; the next goes on from there."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from cdc.events.hands import PAGE, Hands, Moved, to_cancel, to_replay
from cdc.store.choice import Choice, Counted

MOST = 10_000
"""Runs looked at in one go."""

Act = Callable[[Counted, str | None, int], AsyncGenerator[Moved]]


class Rest(NamedTuple):
    """What is left of a choice: runs after this one that were created before this moment."""

    after: str
    until: datetime

    def text(self) -> str:
        """For whoever asks for it next."""
        return urlsafe_b64encode(f"{self.after} {self.until.isoformat()}".encode()).decode()

    @classmethod
    def read(cls, text: str) -> Rest:
        """What `text` gave.

        Raises:
            ValueError: it gave none such.
        """
        after, _, until = urlsafe_b64decode(text.encode("ascii")).decode().partition(" ")
        moment = datetime.fromisoformat(until)
        if moment.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return cls(str(UUID(after)), moment)


class Done(NamedTuple):
    """How many runs a choice had, how many of them were looked at and changed in this go, and what is left."""

    runs: int
    seen: int
    changed: int
    rest: Rest | None


async def cancel(hands: Hands, choice: Choice, reason: str, rest: Rest | None = None, *, most: int = MOST) -> Done:
    """Cancel the unfinished runs of a choice, or those that were left of it."""

    def act(counted: Counted, after: str | None, size: int) -> AsyncGenerator[Moved]:
        return hands.cancel_all(counted, reason, after, size)

    return await _go(act, hands, to_cancel(choice), rest, most)


async def replay(hands: Hands, choice: Choice, rest: Rest | None = None, *, most: int = MOST) -> Done:
    """Replay the ended runs of a choice, or those that were left of it: without states, the failed ones."""
    return await _go(hands.replay_all, hands, to_replay(choice), rest, most)


async def _go(act: Act, hands: Hands, choice: Choice, rest: Rest | None, most: int) -> Done:
    after, until = (None, choice.until) if rest is None else rest
    counted = await hands.count(replace(choice, until=until), after)
    seen = changed = 0
    async with aclosing(act(counted, after, min(PAGE, most))) as pages:
        async for page in pages:
            seen, changed = seen + page.seen, changed + page.done
            if most <= seen < counted.runs and counted.choice.until is not None:
                return Done(counted.runs, seen, changed, Rest(page.last, counted.choice.until))
    return Done(counted.runs, seen, changed, None)
