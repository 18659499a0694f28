"""How a request is refused: the one shape of errors."""

from __future__ import annotations

from collections.abc import Mapping

from cdc.web.answers import Json


def refused(status: int, error: str, headers: Mapping[str, str] | None = None) -> Json:
    """An answer with the sentence that says what to do."""
    return Json({"error": error, "status": status}, status_code=status, headers=dict(headers or {}))
