from __future__ import annotations

import json
from typing import Any

import pytest

from cdc import Batch, Context, Function, function
from cdc.authoring.triggers import EventTrigger


async def handler(ctx: Context) -> None: ...


def test_a_function_is_described_and_its_handler_left_as_it_is() -> None:
    described = function("welcome", on="db/users.inserted")(handler)
    assert described == Function("welcome", (EventTrigger("db/users.inserted"),), handler, name="welcome", retries=3)
    assert described.handler is handler


def test_what_the_registry_stores_is_json_and_has_everything_but_the_handler() -> None:
    described = function(
        "welcome", on=["app/paid", "db/users.inserted"], name="Welcome", retries=0, batch_events=Batch(7)
    )(handler)
    assert json.loads(json.dumps(described.definition())) == {
        "id": "welcome",
        "name": "Welcome",
        "triggers": [{"event": "app/paid"}, {"event": "db/users.inserted"}],
        "retries": 0,
        "flow": {"batch_events": {"max_size": 7, "timeout": None, "key": None, "if_exp": None}},
    }


def test_columns_of_the_function_are_those_of_its_updates() -> None:
    described = function("renamed", on=["db/users.updated", "db/users.inserted"], columns=["name"])(handler)
    updated = {"event": "db/users.updated", "columns": ["name"]}
    assert described.definition()["triggers"] == [updated, {"event": "db/users.inserted"}]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"id": ""}, "id must not be empty"),
        ({"id": " welcome"}, "id must not be empty or padded"),
        ({"on": []}, "at least one trigger"),
        ({"on": "db/users.vanished"}, "not a row event"),
        ({"columns": ["total"]}, "no trigger is db/<table>.updated"),
        ({"on": "db/users.updated", "columns": []}, "columns is empty"),
        ({"on": "db/users.updated", "columns": "name"}, "columns takes a list of names"),
        ({"retries": -1}, "retries must be 0 to 20, not -1"),
        ({"retries": 21}, "retries must be 0 to 20"),
        ({"retries": True}, "retries must be 0 to 20"),
        ({"retries": 1.5}, "retries must be 0 to 20"),
    ],
)
def test_an_option_that_is_not_usable_is_refused_where_it_is_written(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        function(**{"id": "welcome", "on": "app/paid", **options})


@pytest.mark.parametrize("size", [0, -1, 10_001])
def test_a_batch_is_bounded(size: int) -> None:
    with pytest.raises(ValueError, match=f"max_size must be 1 to 10000, not {size}"):
        Batch(size)


def test_a_handler_that_is_no_coroutine_function_is_refused() -> None:
    def plain(ctx: Context) -> None: ...

    with pytest.raises(TypeError, match="'async def'"):
        function("welcome", on="app/paid")(plain)  # type: ignore[arg-type]
