"""A standby of the source was promoted: the incarnation goes on there, when nothing is lost by that.

The standby has the slot (a failover slot, 17 and later) and a history of timelines that says where it left the old one.
All that was accepted must lie before that point, and all that was not must still be readable from the slot.
"""

from __future__ import annotations

import structlog

from cdc import lsn
from cdc.errors import CheckpointMismatch
from cdc.listener.agreement import ADOPT
from cdc.lsn import Lsn
from cdc.store import checkpoints
from cdc.store.checkpoints import Checkpoint, Source
from cdc.store.connect import Connection
from cdc.store.server import Slot
from cdc.wal import timelines
from cdc.wal.slot import Identity

log = structlog.get_logger(__name__)


async def follow(url: str, name: str, state: Connection, source: Source, slot: Slot | None, to: Identity) -> None:
    """Move the incarnation to the server's timeline; a listener on the old one is refused from then on.

    Raises:
        CheckpointMismatch: changes would be lost, or events stand for changes that never were; nothing was moved.
    """
    left = await timelines.end_of(url, source.timeline, in_history_of=to.timeline)
    async with state.transaction():
        moved = await checkpoints.follow_timeline(state, source, to.timeline)
        if moved is not None:
            _check(name, source, moved, slot, left)
    if moved is not None:
        log.warning(
            "promotion followed",
            source=name,
            timeline=to.timeline,
            left=lsn.render(left or 0),
            lsn=lsn.render(moved.end_lsn),
        )


def _check(name: str, source: Source, checkpoint: Checkpoint, slot: Slot | None, left: Lsn | None) -> None:
    reached = lsn.render(checkpoint.end_lsn)
    if left is None:
        raise CheckpointMismatch(
            f"The checkpoint of source {name!r} was made on another server or timeline: timeline {source.timeline} is "
            "no ancestor of this one.",
            hint=ADOPT,
        )
    if checkpoint.end_lsn > left:
        raise CheckpointMismatch(
            f"The standby was promoted at {lsn.render(left)}, before the checkpoint {reached} of source {name!r}: "
            "events were accepted of changes that are not in this database.",
            hint=ADOPT,
        )
    if slot is None or slot.is_lost:
        raise CheckpointMismatch(
            f"The standby was promoted without the replication slot {source.slot!r}: changes since {reached} have no "
            "events and cannot be read any more.",
            hint=f"{ADOPT} CDC_FAILOVER=true keeps the slot on standbys from then on (Postgres 17).",
        )
    if slot.confirmed_lsn > checkpoint.end_lsn:
        raise CheckpointMismatch(
            f"The promoted standby's slot {source.slot!r} is at {lsn.render(slot.confirmed_lsn)}, beyond the "
            f"checkpoint {reached}: the changes between them have no events.",
            hint=ADOPT,
        )
