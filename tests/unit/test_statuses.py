"""When a service with several sources is ready, and what it says of them."""

from __future__ import annotations

import pytest

from cdc.web.status import Status, Statuses


def status(name: str, **facts: object) -> Status:
    return Status(name, f"cdc_{name}", "cdc", **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("home", "working", "ready"),
    [
        (status("default"), True, False),
        (status("default", problem="It is down."), True, False),
        (status("default", attached=True), True, True),
        (status("default", attached=True), False, False),
        (status("default", listening=True), False, True),
        (None, True, True),
        (None, False, False),
    ],
)
def test_it_is_ready_when_it_does_its_part_for_the_home(home: Status | None, working: bool, ready: bool) -> None:
    assert Statuses(home, working=working).ready is ready


@pytest.mark.parametrize(
    ("crm", "ready"),
    [
        (status("crm"), False),
        (status("crm", problem="It is down."), True),
        (status("crm", attached=True), True),
        (status("crm", listening=True), True),
    ],
)
def test_another_source_must_only_have_been_tried(crm: Status, ready: bool) -> None:
    assert Statuses(status("default", listening=True), {"crm": crm}).ready is ready


def test_the_fields_of_the_whole_are_those_of_the_first_source() -> None:
    home, crm = status("default", received=7, confirmed=5), status("crm", problem="It is down.")
    said = Statuses(home, {"crm": crm}).as_json()
    assert (said["source"], said["slot"], said["lag_bytes"], said["problem"]) == ("default", "cdc_default", 2, None)
    sources = said["sources"]
    assert isinstance(sources, list)
    assert [(source["name"], source["problem"]) for source in sources] == [("default", None), ("crm", "It is down.")]
    assert Statuses(None, {"crm": crm}).as_json()["source"] == "crm"
