"""What the server has to spare, how long it waits, and what it keeps."""

from __future__ import annotations

from cdc.service.doctor.finding import Finding, duration, failed, ok, size, warning
from cdc.service.doctor.subject import Subject
from cdc.store import examining

_KEEP = "max_slot_wal_keep_size"
_SILENT = "wal_sender_timeout"
_IDLE = "idle_replication_slot_timeout"


async def slots(subject: Subject) -> Finding:
    """Ours, or a free one."""
    places = subject.places
    ours = await examining.slot(subject.watched, subject.named.slot)
    says = f"{places.slots_taken} of {places.slots} taken"
    if places.slots_taken < places.slots:
        return ok(says)
    if ours is None:
        return failed(f"{says}, none is left for us", subject.host.slots)
    return ok(f"{says}, one of them is ours")


async def senders(subject: Subject) -> Finding:
    """The listener needs one, and now and then a second one."""
    places = subject.places
    ours = await examining.slot(subject.watched, subject.named.slot)
    listens = ours is not None and bool(ours.columns["active"])
    free = places.senders - places.senders_taken
    says = f"{places.senders_taken} of {places.senders} taken"
    if free <= 0 and not listens:
        return failed(f"{says}, none is left for us", subject.host.slots)
    if free <= 0:
        return warning(f"{says}, one of them by the service", subject.host.slots)
    return ok(says)


async def kept_wal(subject: Subject) -> Finding:
    """Without a limit a slot that nobody reads fills the disk; with one, the slot is lost instead."""
    most = (await examining.settings(subject.watched, _KEEP))[_KEEP]
    if most < 0:
        return warning(
            "unlimited: while nobody reads the slot, WAL fills the disk",
            f"Set {_KEEP} to what the disk can spare; a slot that needs more is lost then, and told.",
        )
    return ok(f"{size(most)}: a slot that needs more is lost")


async def silence(subject: Subject) -> Finding:
    """How soon the slot of a machine that vanished is free; the service asks for its own, unless the URL does."""
    given = await examining.settings(subject.watched, _SILENT)
    if given[_SILENT] == 0:
        return warning(
            "off: where it cannot be set for a session, the slot of a machine that vanished stays taken",
            f"Set {_SILENT} to a minute.",
        )
    return ok(duration(given[_SILENT]))


async def idle_slots(subject: Subject) -> Finding:
    """Postgres 18 may drop what a stopped service would come back to."""
    limit = (await examining.settings(subject.watched, _IDLE)).get(_IDLE)
    if limit is None:
        return ok("this version has none")
    if limit > 0:
        return warning(
            f"a service that is stopped for {duration(limit)} loses its slot",
            "Stop it for less than that, or set it to 0.",
        )
    return ok("off")
