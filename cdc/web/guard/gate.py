"""All that stands before the application, in its order."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware import Middleware

from cdc.web.answers import MOST_BYTES
from cdc.web.guard.access import Access
from cdc.web.guard.csrf import SameOrigin
from cdc.web.guard.limits import Bounded
from cdc.web.guard.sessions import Sessions
from cdc.web.guard.terms import Terms


class Gate:
    """What asks for credentials, and the sessions that it knows."""

    def __init__(self, terms: Terms, event_keys: Sequence[str]) -> None:
        self.terms = terms
        self._any_event_key = not event_keys
        self.sessions = Sessions(terms.token)

    def middleware(self) -> list[Middleware]:
        """The outermost first."""
        return [
            Middleware(Access, terms=self.terms, sessions=self.sessions, any_event_key=self._any_event_key),
            Middleware(SameOrigin, sessions=self.sessions),
            Middleware(Bounded, most=MOST_BYTES),
        ]
