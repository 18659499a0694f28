"""Maintenance loops wait for a database that is away, and say so once."""

from __future__ import annotations

import pytest
import structlog

from cdc.errors import ConfigurationError, DatabaseUnreachable
from cdc.maintenance.loop import Loop
from tests.waiting import eventually


async def test_an_outage_is_told_once_and_its_end_too() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks % 10 > 5:
            raise DatabaseUnreachable("it is away")

    loop = Loop("rescuer", 0.0, tick)
    with structlog.testing.capture_logs() as told:
        loop.start()
        await eventually(lambda: ticks > 25)
        await loop.stop()
    begun = [each["event"] for each in told]
    assert begun[:4] == ["rescuer waits for the database", "rescuer goes on"] * 2


async def test_any_other_failure_ends_the_loop() -> None:
    async def tick() -> None:
        raise ConfigurationError("no")

    with pytest.raises(ConfigurationError):
        await Loop("rescuer", 0.0, tick).start()
