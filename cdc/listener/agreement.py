"""Whether slot, checkpoint and server belong together; a refusal says what does not, and what to do next.

The server believes any acknowledgement and any start position, so a checkpoint from elsewhere (a restored backup, a
reset branch, a slot made anew) would lose changes without an error.
"""

from __future__ import annotations

from cdc import lsn
from cdc.errors import CheckpointMismatch, ServerNotReady, SlotLost
from cdc.lsn import Lsn
from cdc.store.checkpoints import Checkpoint, Source
from cdc.store.server import Slot
from cdc.wal.slot import Identity

ANEW = (
    "'cdc slot drop' gives up this position; the next 'cdc run' starts at the present one. "
    "Changes made in between will have no events."
)
_LOST = f"{ANEW} With CDC_ON_SLOT_LOSS=recreate the service does that by itself."
ADOPT = (
    "'cdc adopt --runs=cancel' (a copy) or '--runs=keep' (in place of the original) makes this server the source; "
    "'cdc slot drop' gives up the position only."
)


def check_slot(slot: Slot, name: str, database: str | None) -> None:
    """Raises ServerNotReady when the slot is not one of ours."""
    if slot.plugin != "pgoutput" or slot.database != database:
        raise ServerNotReady(
            f"The replication slot {name!r} exists on this server for database {slot.database!r} "
            f"and plugin {slot.plugin!r}.",
            hint="Choose another name with CDC_SLOT.",
        )


def is_promoted(source: Source, system_identifier: str, timeline: int) -> bool:
    """Whether this is the source's own server on a later timeline: a standby of it that was promoted, or a restored
    backup; the history of timelines tells which.
    """
    return source.system_identifier == system_identifier and source.timeline < timeline


def check_server(name: str, source: Source, system_identifier: str, timeline: int) -> None:
    """Raises CheckpointMismatch when the incarnation is of another server or timeline."""
    if (source.system_identifier, source.timeline) != (system_identifier, timeline):
        raise CheckpointMismatch(
            f"The checkpoint of source {name!r} was made on another server or timeline: this database is a "
            "copy, a restored backup, a branch, or a primary that was replaced.",
            hint=ADOPT,
        )


def check_name(slot_name: str, source: Source) -> None:
    """Raises CheckpointMismatch when the setting names another slot than the incarnation's."""
    if source.slot != slot_name:
        raise CheckpointMismatch(
            f"The checkpoint was made with the replication slot {source.slot!r}, and CDC_SLOT names {slot_name!r}.",
            hint=f"Set CDC_SLOT={source.slot} again; or {ANEW}",
        )


def check_ahead(name: str, checkpoint: Checkpoint, wal: Lsn) -> None:
    """Raises CheckpointMismatch when the server has not written what was accepted from it."""
    if checkpoint.end_lsn > wal:
        raise CheckpointMismatch(
            f"The checkpoint of source {name!r} ({lsn.render(checkpoint.end_lsn)}) is ahead of the server's "
            f"WAL ({lsn.render(wal)}): the server was set back.",
            hint=ADOPT,
        )


def check_readable(slot: Slot | None, source: Source, checkpoint: Checkpoint) -> Slot:
    """The slot, when everything since the checkpoint can be read from it; else raises SlotLost."""
    if slot is None:
        raise SlotLost(
            f"The replication slot {source.slot!r} is gone; changes since {lsn.render(checkpoint.end_lsn)} cannot be "
            "read any more.",
            hint=_LOST,
        )
    if slot.is_lost:
        why = slot.reason or "max_slot_wal_keep_size or an idle timeout"
        raise SlotLost(
            f"The replication slot {source.slot!r} was invalidated ({why}); changes since "
            f"{lsn.render(checkpoint.end_lsn)} cannot be read any more.",
            hint=_LOST,
        )
    return slot


def check_order(source: Source, checkpoint: Checkpoint, confirmed: Lsn) -> None:
    """Confirmed <= checkpoint, since we confirm only what is stored; raises CheckpointMismatch."""
    if confirmed > checkpoint.end_lsn:
        raise CheckpointMismatch(
            f"The slot {source.slot!r} was moved to {lsn.render(confirmed)} by somebody else, beyond the checkpoint "
            f"{lsn.render(checkpoint.end_lsn)}: the changes between them have no events.",
            hint=ANEW,
        )


def check_before_loss(name: str, slot_name: str, source: Source, checkpoint: Checkpoint, identity: Identity) -> None:
    """All that must hold for a slot that is gone to be that and nothing else; raises CheckpointMismatch."""
    check_server(name, source, identity.system_identifier, identity.timeline)
    check_name(slot_name, source)
    check_ahead(name, checkpoint, identity.wal_lsn)
