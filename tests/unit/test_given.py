"""What senders give to events."""

from __future__ import annotations

import pytest

from cdc.events.given import traceparent_of

IDS = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (f"00-{IDS}-01", f"00-{IDS}-01"),
        (f"00-{IDS}-ff", f"00-{IDS}-ff"),
        (f"01-{IDS}-01", f"00-{IDS}-01"),
        (f"cc-{IDS}-fe-what-comes-later", f"00-{IDS}-02"),
    ],
)
def test_a_traceparent_is_kept_as_the_version_that_we_know(given: str, kept: str) -> None:
    assert traceparent_of(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        None,
        7,
        "",
        IDS,
        f"ff-{IDS}-01",
        f"00-{IDS}-01-more",
        f"cc-{IDS}-01.more",
        f"00-{IDS}-1",
        f"00-{IDS}-01\n",
        f" 00-{IDS}-01",
        f"00-{IDS.upper()}-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        f"00-{IDS}-01\0",
        "\u0660\u0660-" + IDS + "-01",
    ],
    ids=repr,
)
def test_what_is_no_traceparent_names_no_trace(given: object) -> None:
    assert traceparent_of(given) is None
