"""What is kept of a function's failure, as its SDK told it."""

from __future__ import annotations

from typing import Any

import pytest

from cdc.remote.answer import Threw
from cdc.remote.throwing import ThrownForGood, ThrownUntil, failed

TOLD = {"name": "E", "message": "no"}


@pytest.mark.parametrize(
    ("raw", "more"),
    [
        ({**TOLD, "code": "unknown", "stack": None, "other": 1}, {"code": "unknown", "stack": None}),
        ({**TOLD, "code": 1, "stack": "at f"}, {"stack": "at f"}),
        ("a page", {}),
        (None, {}),
    ],
)
def test_the_code_of_the_sdk_and_what_the_failure_is_called_are_kept(raw: Any, more: dict[str, Any]) -> None:
    assert failed(Threw(TOLD, raw)).more == {"error": "invalid status code: 500", **more}


def test_a_failure_for_good_is_called_so_and_one_until_later_knows_when() -> None:
    final = failed(Threw(TOLD, None, no_retry=True))
    assert isinstance(final, ThrownForGood)
    assert final.more == {"error": "NonRetriableError"}
    later = failed(Threw(TOLD, None, retry_after=2.0))
    assert isinstance(later, ThrownUntil)
    assert later.delay == 2.0
