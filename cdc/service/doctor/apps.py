"""Apps elsewhere, as their last syncs went. They are not asked: the doctor changes nothing."""

from __future__ import annotations

from cdc.service.doctor.finding import Finding, ok, warning
from cdc.service.doctor.subject import Subject
from cdc.store import apps


async def synced(subject: Subject) -> Finding:
    """Every app could be synced when it was asked last."""
    every = await apps.listed(subject.state) if await subject.has_state() else []
    broken = [app for app in every if app["error"]]
    if broken:
        first = broken[0]
        return warning(f"{first['name'] or first['url']}: {first['error']}", "Mend that; then: cdc apps sync")
    count = sum(len(app["functions"]) for app in every)
    return ok(f"{len(every)}, with {count} functions" if every else "there are none")
