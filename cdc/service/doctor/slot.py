"""The slot, what it keeps, and whether it belongs to our checkpoint."""

from __future__ import annotations

from typing import Any

from cdc import lsn
from cdc.errors import SlotLost
from cdc.listener.source import Watched, belongs
from cdc.service.doctor.finding import Finding, duration, failed, ok, size, warning
from cdc.service.doctor.subject import Subject
from cdc.store import checkpoints, examining, server
from cdc.store.checkpoints import Checkpoint, Source
from cdc.store.examining import SlotState

_BEHIND = 1024.0**3
"""Bytes of lag that somebody should know of."""

_ANEW = "'cdc slot drop', then 'cdc run' makes it anew; changes in between have no events."


async def slot(subject: Subject) -> Finding:
    """Whether the server still has what we will ask for."""
    name = subject.named.slot
    state = await examining.slot(subject.watched, name)
    if state is None:
        if await _known(subject) is None:
            return ok(f"{name} is made at the first start")
        return failed(f"{name} is gone: it was dropped, or the host removed it as idle", _ANEW)
    columns = state.columns
    if columns["plugin"] != "pgoutput" or columns["database"] != subject.watched.info.dbname:
        return failed(f"{name} is of another database or plugin", "Choose another name with CDC_SLOT.")
    if reason := _lost(columns):
        return failed(f"{name} was invalidated: {reason}", _ANEW)
    return _alive(name, state, subject.settings.listen)


def _lost(columns: dict[str, Any]) -> str | None:
    """Why a slot cannot be read any more; columns by version: 16 has `conflicting`, 17 `invalidation_reason`."""
    if columns["wal_status"] == "lost":
        return str(columns.get("invalidation_reason") or "the server removed WAL that was still needed")
    if columns.get("conflicting"):
        return str(columns.get("invalidation_reason") or "it conflicts with the recovery of a standby")
    return str(columns["invalidation_reason"]) if columns.get("invalidation_reason") else None


def _alive(name: str, state: SlotState, every: float | None) -> Finding:
    """`every`: seconds between the times that a service reads it, None when it always does."""
    status, left = state.columns["wal_status"], state.columns["safe_wal_size"]
    kept = f"{name} keeps {size(state.retained or 0)} of WAL"
    if status == "unreserved":
        return failed(f"{kept}, and is lost at the server's next checkpoint", "Start the service now.")
    if left is not None and left < (state.retained or 0):
        return warning(f"{kept} and is lost after {size(left)} more", "Start the service, or find what holds it up.")
    if every is not None and (state.inactive_for or 0.0) < 2 * every:
        return ok(f"{kept} and is read every {duration(every)}")
    if not state.columns["active"]:
        since = "" if state.inactive_for is None else f" for {duration(state.inactive_for)}"
        return warning(f"{kept}; nobody has read it{since}", "Start the service: cdc run.")
    return ok(f"{kept} and is read")


async def lag(subject: Subject) -> Finding:
    """How much the service has not confirmed yet."""
    state = await examining.slot(subject.watched, subject.named.slot)
    if state is None or state.lag is None:
        return ok("there is nothing to read yet")
    if state.lag > _BEHIND:
        return warning(
            f"{size(state.lag)} behind",
            "See whether the service runs, and what its log says; a long transaction?",
        )
    return ok(f"{size(state.lag)} behind")


async def checkpoint(subject: Subject) -> Finding:
    """Slot, checkpoint and server belong together; the server believes any acknowledgement."""
    # In this order, for a listener may be moving them: confirmed <= checkpoint <= WAL.
    state = await examining.slot(subject.watched, subject.named.slot)
    known = await _known(subject)
    wal = await server.wal_position(subject.watched)
    if known is None:
        return ok("the first start makes it")
    source, at = known
    if source.slot != subject.named.slot:
        return failed(f"it was made with the slot {source.slot}", "Set CDC_SLOT to that name again.")
    watched = Watched(subject.named.url, subject.named.name, source.slot, subject.settings.publication)
    try:
        taken_up = await belongs(watched, subject.state, subject.watched)
    except SlotLost:
        return warning(f"at {lsn.render(at.end_lsn)}, and its slot is lost", "See what 'slot' says.")
    if not taken_up:
        return warning("no listener has taken it up on this server yet", "Start the service: cdc run.")
    if at.end_lsn > wal:
        return failed("it is ahead of the server's WAL: the server was set back", _ANEW)
    if state is not None and lsn.parse(state.columns["confirmed_flush_lsn"]) > at.end_lsn:
        return failed("the slot was moved beyond it: changes between them have no events", _ANEW)
    return ok(f"at {lsn.render(at.end_lsn)}, the server at {lsn.render(wal)}")


async def _known(subject: Subject) -> tuple[Source, Checkpoint] | None:
    """What the state remembers; nothing where the service never ran."""
    return await checkpoints.current(subject.state, subject.named.name) if await subject.has_state() else None
