"""The timelines of a server: a standby that is promoted goes on on a new one, and its history says from where.

Postgres docs, Streaming Replication Protocol: TIMELINE_HISTORY.
"""

from __future__ import annotations

import psycopg

from cdc.lsn import Lsn, parse
from cdc.wal.connection import answering, ask, connect
from cdc.wal.refusals import command_refused


async def end_of(conninfo: str, timeline: int, *, in_history_of: int) -> Lsn | None:
    """Where a timeline ended, in the history of the one that the server is on; None: it is none of its ancestors.

    Raises:
        ConfigurationError, DatabaseUnreachable, DatabaseRefused, ServerNotReady, StreamLost: the server does not say.
    """
    async with await connect(conninfo) as connection:
        try:
            with answering(connection):
                _, content = await ask(connection, f"TIMELINE_HISTORY {in_history_of}".encode())
        except psycopg.Error as error:
            raise command_refused(error, slot="", user=connection.info.user) from error
    return ends(content if isinstance(content, str) else bytes(content).decode()).get(timeline)


def ends(history: str) -> dict[int, Lsn]:
    """The ends of all timelines in a history file: lines of timeline, LSN and reason; `#` begins a comment."""
    lines = (line.split("#")[0].split() for line in history.splitlines())
    return {int(words[0]): parse(words[1]) for words in lines if words}
