"""The client, and what the functions share.

APP      name of the app; its events are named `<app>/<function>`
EFFECTS  file to which bodies note that they ran
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import inngest

APP = os.environ.get("APP", "py")

client = inngest.Inngest(app_id=APP)

Handler = Callable[[inngest.Context], Awaitable[Any]]
Made = Callable[[Handler], inngest.Function[Any]]


def on(id: str, *, retries: int = 0, **options: Any) -> Made:
    """A function that is started by the event of its own name."""
    trigger = inngest.TriggerEvent(event=f"{APP}/{id}")
    return client.create_function(fn_id=id, trigger=trigger, retries=retries, **options)


def id_of(ctx: inngest.Context) -> str:
    """What a test calls this run, or these runs."""
    return str(ctx.event.data["id"])


def note(id: str, what: str) -> str:
    """Note that a body ran, in the run or runs of the event with this `data.id`."""
    with open(os.environ.get("EFFECTS", os.devnull), "a") as effects:
        effects.write(json.dumps({"id": id, "what": what, "at": int(time.time() * 1000)}) + "\n")
    return what


async def noted(id: str, what: str) -> str:
    """The same, as a step's body."""
    return note(id, what)
