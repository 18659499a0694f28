from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cdc.web.answers import Json

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("odd", ["plain", "\ud800", 2**80, "\x00", [1, {"deep": -(2**70)}], None])
def test_whatever_a_run_may_have_returned_can_be_answered(odd: Any) -> None:
    body = Json({"data": {"output": odd, "created_at": NOW}}).body

    assert json.loads(bytes(body)) == {"data": {"output": odd, "created_at": "2026-01-02T03:04:05+00:00"}}
