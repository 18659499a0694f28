"""`cdc slot`: the replication slot and the checkpoint."""

from __future__ import annotations

import asyncio

from cyclopts import App
from rich import print as say

from cdc import config, lsn
from cdc.cli import showing
from cdc.cli.database import DEFAULT, Source, chosen
from cdc.service import slots
from cdc.store.gaps import Gap

slot = App(name="slot", help="Show or drop the replication slot.")


@slot.command
def status(*, source: Source = DEFAULT) -> None:
    """Show where slot, checkpoint and server are, and which changes were lost.

    Args:
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    settings = config.load()
    named = chosen(settings, source)
    state = asyncio.run(slots.state(settings, named))
    say(f"slot        {named.slot}: {state.slot.wal_status if state.slot else 'there is none'}")
    if state.slot:
        say(f"confirmed   {lsn.render(state.slot.confirmed_lsn)}")
        say(f"lag         {state.wal - state.slot.confirmed_lsn:,} bytes")
    say(f"checkpoint  {lsn.render(state.checkpoint.end_lsn) if state.checkpoint else 'there is none'}")
    say(f"server      {lsn.render(state.wal)}")
    for gap in state.gaps:
        say(f"lost        {_window(gap)}")


@slot.command
def drop(*, yes: bool = False, source: Source = DEFAULT) -> int:
    """Drop the slot and give up its position. Changes until the next start will have no events.

    Args:
        yes: do not ask.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    settings = config.load()
    named = chosen(settings, source)
    if not yes and not agreed(f"Drop the slot {named.slot!r} and its position? [y/N] "):
        say("Nothing was changed.")
        return 1
    asyncio.run(slots.drop(settings, named))
    say(f"The slot {named.slot!r} is dropped. The next 'cdc run' makes it anew, at the position it finds then.")
    return 0


def _window(gap: Gap) -> str:
    """From where to where, when, and why."""
    end = f"{gap.to_lsn} ({showing.time(gap.to_at)})" if gap.to_lsn else "the next start"
    return f"{gap.source}: from {gap.from_lsn} ({showing.time(gap.from_at)}) to {end}: {gap.reason}"


def agreed(question: str) -> bool:
    """What a person answers; where there is none, no."""
    try:
        return input(question).strip().lower() == "y"
    except EOFError:
        print()
        return False
