"""`cdc drain`: read once what is there."""

from __future__ import annotations

from cdc.config import Settings
from cdc.service import tracing
from cdc.service.absences import Absences
from cdc.service.databases import Databases
from cdc.service.following import Following
from cdc.service.listening import Hooks, Listening
from cdc.service.models import embedder
from cdc.service.named import Named
from cdc.service.process import prepare
from cdc.service.source import watched
from cdc.service.tallying import Tallying
from cdc.store import notifications
from cdc.web.status import Status


async def drain(settings: Settings, named: Named) -> int:
    """Accept and confirm everything that was committed before this call; how many events that were.

    Functions are matched as workers have registered them. Running services are told what is due.

    Raises:
        SlotInUse: a service is listening.
        CdcError: it could not be read.
    """
    prepare()
    databases = Databases.of(settings, settings.watched_url).watching(named)
    await databases.prepare_watched(settings, listens=True)
    await databases.prepare_state(settings)
    status = Status(named.name, named.slot, settings.publication)
    due = False

    def runs_are_due() -> None:
        nonlocal due
        due = True

    models, traces = embedder(settings), tracing.start()
    try:
        following = Following(settings, databases.watched, models, status, Absences())
        await following.declare()
        hooks = Hooks(on_attached=lambda: None, on_runs=runs_are_due, on_change=lambda: None)
        return await Listening(watched(settings, named), databases, following, status, hooks).drain()
    finally:
        await models.close()
        await Tallying(databases.to_state).close()
        if traces:
            await traces.close()
        if due:
            async with await databases.to_state() as state:
                await notifications.notify(state, "due")
