"""Named fault points: places where a test may kill the process.

`CDC_FAULT=accept.committed:3` kills the process with SIGKILL the third time it passes that point. Without the
variable a point costs one comparison. The names are the keys of `POINTS`; each has a crash test.

The processes that come after would die there, too. With `CDC_FAULT_ONCE=<path>` only the first one does: it leaves
a file there.
"""

from __future__ import annotations

import os
import signal

POINTS = {
    "accept.before_commit": "events and runs are written, the transaction is still open",
    "backfill.read": "a chunk of existing rows is read, its place in the WAL is not marked yet",
    "backfill.announced": "a chunk's place is marked in the WAL, its rows are in memory only",
    "accept.committed": "the transaction is durable, nothing is confirmed to Postgres yet",
    "worker.claimed": "runs are claimed, none has started",
    "step.ran": "a step's body has returned, its memo is not queued yet",
    "run.ended": "a handler has ended or was suspended, its outcome is not queued yet",
    "journal.before_commit": "a journal batch is about to be sent",
    "journal.committed": "a journal batch is durable, its runs do not know yet",
    "inference.claimed": "inferences are claimed, no model has been asked",
    "inference.answered": "a model has answered, its answer is in memory only",
    "inference.recorded": "answers are durable, their worker does not know yet",
    "transaction.before_commit": "a step.transaction has written its effects and its record, and not committed",
    "transaction.committed": "a step.transaction is durable, its run does not know yet",
}

_armed, _, _count = os.environ.get("CDC_FAULT", "").partition(":")
_once = os.environ.get("CDC_FAULT_ONCE", "")
_left = int(_count or 1)


def point(name: str) -> None:
    """Die here if this point is armed and its count is used up."""
    global _left
    if not _armed or name != _armed:
        return
    _left -= 1
    if _left <= 0 and _is_first():
        os.kill(os.getpid(), signal.SIGKILL)


def _is_first() -> bool:
    if not _once:
        return True
    try:
        os.close(os.open(_once, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
