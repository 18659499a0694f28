"""An event: an immutable fact, as handlers see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `ts` is milliseconds since the epoch; for a row change, of its commit.

    To send one, write `Event("app/order.paid", {"id": 7})`. An `id` of your own makes it count once in 24 hours: a
    second event with the same id is stored and starts nothing. A `ts` in the future starts its runs then. Without
    them both are given to it when it is accepted. `user` and `v` (a version of the data's shape) are yours. One that
    came with a `traceparent` (W3C Trace Context) still has it.
    """

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    ts: int = 0
    user: dict[str, Any] = field(default_factory=dict)
    v: str | None = None
    traceparent: str | None = None

    def typed(self, model: type[Model]) -> Model:
        """The data as a pydantic model; of a row event, its new row (of a deleted one, the old).

        Raises:
            pydantic.ValidationError: it does not fit.
        """
        if self.name.startswith("db/"):
            return model.model_validate(self.data["new"] or self.data["old"])
        return model.model_validate(self.data)

    def as_dict(self) -> dict[str, Any]:
        """As expressions see it, and JSON."""
        return {"id": self.id, "name": self.name, "data": self.data, "ts": self.ts, "user": self.user, "v": self.v}
