"""All loops that every service runs on the state database; any number of replicas may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cdc.maintenance.deadlines import Deadlines
from cdc.maintenance.loop import Loop
from cdc.maintenance.pruner import Pruner
from cdc.maintenance.rescuer import rescuer
from cdc.maintenance.scheduler import Scheduler
from cdc.maintenance.sweeper import Sweeper
from cdc.store.connect import Connection

_OFTEN = 1.0
_SWEEP_EVERY = 30.0
_PRUNE_EVERY = 300.0


def loops(
    connect: Callable[[], Awaitable[Connection]], *, lease: float, retention: float, on_runs: Callable[[], None]
) -> list[Loop]:
    """The loops, not started yet. `lease` and `retention` are seconds; `on_runs` is called when runs are due."""
    return [
        rescuer(connect, lease=lease, on_runs=on_runs),
        Loop("scheduler", _OFTEN, Scheduler(connect, on_runs=on_runs).tick),
        Loop("deadlines", _OFTEN, Deadlines(connect, on_runs=on_runs).tick),
        Loop("sweeper", _SWEEP_EVERY, Sweeper(connect, on_runs=on_runs).tick),
        Loop("pruner", _PRUNE_EVERY, Pruner(connect, retention=retention).tick),
    ]
