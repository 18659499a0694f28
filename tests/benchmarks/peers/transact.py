"""DBOS Transact: queued workflows; each step's result is a row of its own, committed before the next begins.

Synchronous workflows, since they were faster than its asynchronous ones, up to 100 at once over its default pool of 20
connections: more of either was slower. Its queue is polled every 100 ms, ten times as often as by default.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any

from dbos import DBOS, DBOSClient

from tests.benchmarks.peers.lines import Begun, answer, commands

_URL = os.environ["DATABASE_URL"]
_QUEUE = "measured"
_VERSION = "1"
_AT_ONCE = 100
_POLL = 0.1

begun = Begun()


def _add(number: int) -> int:
    return number + 1


_step = DBOS.step()(_add)


def _no_op(number: int) -> None:
    begun.note()


def _three_steps(number: int) -> dict[str, int]:
    begun.note()
    return {"number": _step(_step(_step(number)))}


def _arrival(number: int) -> None:
    begun.arrived(number)


_WORKFLOWS = {"no-op": _no_op, "three-steps": _three_steps, "arrival": _arrival}


class Commands:
    """Each method is a command."""

    def prepare(self) -> dict[str, Any]:
        """Make the schema."""
        _launch(polling=False)
        DBOS.destroy()
        return {}

    def enqueue(self, workload: str, count: int) -> dict[str, Any]:
        """Queue so many workflows, which nobody runs yet."""
        client = DBOSClient(system_database_url=_URL)
        for number in range(count):
            _enqueue(client, workload, number)
        return {}

    def send(self, first: int, count: int, per_second: float) -> dict[str, Any]:
        """Queue arrivals at this rate; when each call returned."""
        client, chance = DBOSClient(system_database_url=_URL), random.Random(first)
        sent, due = {}, time.monotonic()
        for number in range(first, first + count):
            _enqueue(client, "arrival", number)
            sent[number] = time.time()
            due += chance.uniform(0.5, 1.5) / per_second
            time.sleep(max(0.0, due - time.monotonic()))
        return {"sent": sent}

    def work(self) -> dict[str, Any]:
        """Run what is queued, from now on; answered when the first workflow begins."""
        _launch(polling=True)
        begun.first.wait()
        return {}

    def begun(self) -> dict[str, Any]:
        """When the arrivals' handlers began."""
        return {"begun": begun.at}


def _launch(*, polling: bool) -> None:
    DBOS(
        config={
            "name": "measured",
            "system_database_url": _URL,
            "application_version": _VERSION,
            "max_executor_threads": _AT_ONCE,
            "log_level": "WARNING",
        }
    )
    for name, workflow in _WORKFLOWS.items():
        DBOS.workflow(name=name)(workflow)
    if not polling:
        DBOS.listen_queues([])
    DBOS.launch()
    DBOS.register_queue(_QUEUE, worker_concurrency=_AT_ONCE, polling_interval_sec=_POLL)


def _enqueue(client: DBOSClient, workload: str, number: int) -> None:
    client.enqueue({"queue_name": _QUEUE, "workflow_name": workload, "app_version": _VERSION}, number)


def main() -> None:
    offered = Commands()
    for command in commands():
        answer(**getattr(offered, command.pop("do"))(**command))


if __name__ == "__main__":
    main()
