"""Events that are sent on to a cluster."""

from __future__ import annotations

from cdc.service.doctor.finding import Finding, failed, ok, warning
from cdc.service.doctor.subject import Subject
from cdc.service.forwarding import target
from cdc.store import forwards


async def sent_on(subject: Subject) -> Finding:
    """All row events of the source reach the cluster."""
    to = target(subject.settings)
    if to is None:
        return ok("events are not sent on")
    if not await subject.has_state():
        return ok("begins with the service")
    found = [each for each in await forwards.standing(subject.state) if each.name == subject.named.name]
    if lost := sum(each.lost for each in found):
        return failed(
            f"{lost:,} events were deleted by age before {to.origin} took them",
            "Raise CDC_RETENTION above the time that the cluster may be away; cdc backfill sends rows as they are.",
        )
    if error := next((each.error for each in found if each.error), None):
        return warning(
            f"{to.origin} does not take them: {error}", "See that it runs, and that INNGEST_EVENT_KEY is its."
        )
    if refused := sum(each.refused for each in found):
        return warning(f"{refused:,} events were refused for good", "The service's log has their ids and reasons.")
    return ok(f"{sum(each.sent for each in found):,} events to {to.origin}")
