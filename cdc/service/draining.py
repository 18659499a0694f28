"""`cdc drain`: read once what is there."""

from __future__ import annotations

from cdc.config import Settings
from cdc.service.databases import Databases
from cdc.service.following import Following
from cdc.service.listening import Hooks, Listening
from cdc.service.models import embedder
from cdc.service.parent import SOURCE, watched
from cdc.service.process import prepare
from cdc.store import notifications
from cdc.web.status import Status


async def drain(settings: Settings, url: str) -> int:
    """Accept and confirm everything that was committed before this call; how many events that were.

    Functions are matched as workers have registered them. Running services are told what is due.

    Raises:
        SlotInUse: a service is listening.
        CdcError: it could not be read.
    """
    prepare()
    databases = Databases.of(settings, url)
    await databases.prepare(settings, frozenset({"listener"}))
    status = Status(SOURCE, settings.slot, settings.publication)
    due = False

    def runs_are_due() -> None:
        nonlocal due
        due = True

    models = embedder(settings)
    try:
        following = Following(settings, databases.watched, models, status)
        await following.declare()
        hooks = Hooks(on_attached=lambda: None, on_runs=runs_are_due, on_change=lambda: None)
        return await Listening(watched(settings, databases), databases, following, status, hooks).drain()
    finally:
        await models.close()
        if due:
            async with await databases.to_state() as state:
                await notifications.notify(state, "due")
