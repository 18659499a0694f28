"""Debezium's engine, reading a slot into nothing: its Postgres connector, pgoutput, and each change as JSON text.

The sink is called from Java once a batch, counts, and marks the last of the batch as processed, which is what moves
the slot on. Neither pydbzengine's own handler, which marks each change by a call from Python, was faster, nor a
Consumer made in Java of a method handle, which is called for each. One thread converts beside the one that decodes:
as many as cores were not faster. Schemas are left out of the JSON, batches and the queue are four times the default,
and the queue is looked into every 100 ms instead of every 500, unless it fills up before: all defaults were slower.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import jpype
from pydbzengine.engine.jvm import ensure_jvm_started

from tests.benchmarks.peers.lines import answer, commands

_Method = TypeVar("_Method", bound=Callable[..., Any])

_AT = urlsplit(os.environ["DATABASE_URL"])
_SETTINGS = {
    "name": "measured",
    "topic.prefix": "measured",
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "database.hostname": _AT.hostname,
    "database.port": _AT.port or 5432,
    "database.user": _AT.username,
    "database.password": unquote(_AT.password or ""),
    "database.dbname": _AT.path.lstrip("/"),
    "plugin.name": "pgoutput",
    "publication.name": "cdc",
    "publication.autocreate.mode": "disabled",
    "slot.drop.on.stop": "false",
    "schema.include.list": "public",
    "snapshot.mode": "no_data",
    "offset.storage": "org.apache.kafka.connect.storage.MemoryOffsetBackingStore",
    "converter.schemas.enable": "false",
    "max.batch.size": 8192,
    "max.queue.size": 32768,
    "poll.interval.ms": 100,
    "record.processing.threads": 1,
    "advanced.metrics.enable": "false",
}
_LOGGED = """
appender.errors.type = Console
appender.errors.name = errors
appender.errors.target = SYSTEM_ERR
rootLogger.level = ERROR
rootLogger.appenderRef.errors.ref = errors
"""
"""Its default writes to stdout, where the answers go, and to a file, with a warning for each lost measurement."""


def _start_java() -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".properties") as configured:
        configured.write(_LOGGED)
        configured.flush()
        ensure_jvm_started(jvm_opts=[f"-Dlog4j2.configurationFile={configured.name}"])
        jpype.JClass("org.slf4j.LoggerFactory").getLogger("measured")  # reads it


def _override(method: _Method) -> _Method:
    """jpype's own, with a type."""
    overriding: _Method = jpype.JOverride(method)
    return overriding


_start_java()


@jpype.JImplements("io/debezium/engine/DebeziumEngine$ChangeConsumer")
class Sink:
    """Counts. The clock begins with the first batch's end, and so does the count of what took that long."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.counted = self.before = 0
        self.began = self.ended = 0.0
        self.first, self.last = threading.Event(), threading.Event()

    @_override
    def handleBatch(self, records: Any, committer: Any) -> None:  # noqa: N802 - Java's name
        """Take a batch; Java calls it."""
        count = records.size()
        committer.markProcessed(records.get(count - 1))
        committer.markBatchFinished()
        self.counted += count
        if not self.first.is_set():
            self.before, self.began = self.counted, time.perf_counter()
            self.first.set()
        if self.counted >= self.rows and not self.last.is_set():
            self.ended = time.perf_counter()
            self.last.set()

    @_override
    def supportsTombstoneEvents(self) -> bool:  # noqa: N802 - Java's name
        """Whether it takes them; Java asks."""
        return True


class Commands:
    """Each method is a command."""

    def read(self, slot: str, rows: int) -> dict[str, Any]:
        """Read so many rows from a slot; answered when the first batch is there."""
        self._sink, self._stopping = Sink(rows), False
        settings = jpype.JClass("java.util.Properties")()
        for name, value in {**_SETTINGS, "slot.name": slot}.items():
            settings.setProperty(name, str(value))
        engine = jpype.JClass("io.debezium.engine.DebeziumEngine")
        text = jpype.JClass("io.debezium.engine.format.Json")
        self._engine = engine.create(text).using(settings).notifying(self._sink).build()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        self._sink.first.wait()
        return {}

    def passed(self) -> dict[str, Any]:
        """Answered when all of them are there: how many came behind the first batch, and the seconds these took."""
        self._sink.last.wait()
        return {"rows": self._sink.counted - self._sink.before, "seconds": self._sink.ended - self._sink.began}

    def stop(self) -> dict[str, Any]:
        """Let go of the slot."""
        self._stopping = True
        self._engine.close()
        self._reading.join()
        return {}

    def _read(self) -> None:
        self._engine.run()
        if not self._stopping:
            sys.stderr.write("the engine stopped by itself; its log is above\n")
            os._exit(1)  # the command that waits for it would do so for ever


def main() -> None:
    offered = Commands()
    for command in commands():
        answer(**getattr(offered, command.pop("do"))(**command))


if __name__ == "__main__":
    main()
