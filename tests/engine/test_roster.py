"""Functions that are claimed in groups, as those of apps with little room are."""

from __future__ import annotations

from cdc import Context, function
from cdc.engine.roster import Fixed, Group, Open
from tests.engine.harness import Engine


class Narrow(Fixed):
    """One function has room for a single run at a time, another for none."""

    def open(self) -> Open:
        flows = super().open().flows
        return Open.of([Group({"narrow": flows["narrow"]}, 1), Group({"wide": flows["wide"]}, 1000)])


async def test_little_room_for_one_function_leaves_the_others_theirs(live_engine: Engine) -> None:
    @function("narrow", on="db/users.inserted")
    async def narrow(ctx: Context) -> None: ...

    @function("wide", on="db/users.inserted")
    async def wide(ctx: Context) -> None: ...

    @function("shut", on="db/users.inserted")
    async def shut(ctx: Context) -> None: ...

    async with live_engine.working(narrow, wide, shut, roster=Narrow):
        await live_engine.send("db/users.inserted", *({} for _ in range(50)))
        await live_engine.ended(100)
        runs = await live_engine.runs()
    assert {run["status"] for run in runs if run["function"] != "shut"} == {"completed"}
    assert {run["status"] for run in runs if run["function"] == "shut"} == {"queued"}
