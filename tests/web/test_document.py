"""The document of the API, held against the API: what it promises is accepted, what it does not is refused, and every
answer is of the shape that it tells.
"""

from __future__ import annotations

import asyncio
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.web.conftest import Served

FEW = settings(
    max_examples=5,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CONFIG = SchemathesisConfig.from_dict({"generation": {"allow-x00": False}, "request-timeout": 60})
"""A text with a NUL is refused where the database is asked for it, which no schema says. The seconds are for a machine
that stands still for a while.
"""

LOOSE: dict[str, Any] = {
    **{path: [positive_data_acceptance] for path in ("/v1/runs/cancel", "/v1/runs/replay", "/v1/runs/{id}/replay")},
    "/e/{key}": [negative_data_rejection],
}
"""An input needs a step, a choice at least one field, a cursor an answer that gave it; events may have other names."""

ROWS = (
    "insert into cdc_state.steps (run_id, id, kind, started_at, ended_at, data)"
    " values (%s, 'a', 'run', now(), now(), '1')",
    "insert into cdc_state.waits (run_id, id, cancels, event, expires_at) values (%s, 'a', false, 'app/x', now())",
    "insert into cdc_state.logs (run_id, level, line, fields) values (%s, 'info', 'hello', '{}')",
    "insert into cdc_state.ai_calls (run_id, step_id, operation, provider, model, latency)"
    " values (%s, 'a', 'chat', 'openai', 'gpt', 1)",
)


async def test_the_api_does_what_its_document_says(served: Served) -> None:
    document = (await served.get("/openapi.json"))[1]
    schema = schemathesis.openapi.from_dict(document, config=CONFIG).exclude(path="/readyz")  # it is not: 503

    def probe() -> None:
        for result in schema.get_all_operations():
            assert isinstance(result, Ok)
            operation = result.ok()
            can_be_wrong = operation.query.items or operation.body.items
            for mode in GenerationMode if can_be_wrong else [GenerationMode.POSITIVE]:

                @FEW
                @given(case=operation.as_strategy(generation_mode=mode))
                def holds(case: Case[Any]) -> None:
                    case.call_and_validate(base_url=served.url, excluded_checks=LOOSE.get(case.path, []))

                holds()

    await asyncio.to_thread(probe)


async def test_what_is_there_is_answered_as_the_document_says(served: Served) -> None:
    (event_id,) = (await served.post("/e/any", {"name": "app/order.paid", "data": {"id": 7}}))[1]["ids"]
    (run,) = (await served.get(f"/v1/events/{event_id}/runs"))[1]["data"]
    for statement in ROWS:
        await served.state.connection.execute(statement.encode(), [run["id"]])
    schema = schemathesis.openapi.from_dict((await served.get("/openapi.json"))[1], config=CONFIG)
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/v1/status", {}),
        ("GET", "/v1/events", {}),
        ("GET", "/v1/events", {"query": {"format": "csv"}}),
        ("GET", "/v1/events/{id}", {"path_parameters": {"id": event_id}}),
        ("GET", "/v1/events/{id}/runs", {"path_parameters": {"id": event_id}}),
        ("GET", "/v1/runs", {}),
        ("GET", "/v1/runs/{id}", {"path_parameters": {"id": run["id"]}}),
        ("GET", "/v1/functions", {}),
        ("GET", "/v1/functions/{id}", {"path_parameters": {"id": "paid"}}),
        ("POST", "/v1/functions/{id}/pause", {"path_parameters": {"id": "paid"}, "body": {}}),
        ("POST", "/v1/functions/{id}/resume", {"path_parameters": {"id": "paid"}, "body": {}}),
        ("POST", "/v1/functions/{id}/invoke", {"path_parameters": {"id": "paid"}, "body": {"data": {}}}),
        ("POST", "/v1/events/{id}/resend", {"path_parameters": {"id": event_id}, "body": {}}),
        ("POST", "/v1/runs/{id}/cancel", {"path_parameters": {"id": run["id"]}, "body": {}}),
        ("POST", "/v1/runs/{id}/replay", {"path_parameters": {"id": run["id"]}, "body": {}}),
        ("POST", "/v1/runs/cancel", {"body": {"function": ["paid"]}}),
        ("POST", "/v1/runs/replay", {"body": {"status": ["cancelled"], "since": "1h"}}),
        ("GET", "/v1/ai/calls", {}),
        ("GET", "/v1/ai/usage", {}),
    ]

    def probe() -> None:
        for method, path, given_ in asked:
            case = schema[path][method].Case(media_type="application/json" if method == "POST" else None, **given_)
            assert case.call_and_validate(base_url=served.url).status_code == 200, path

    await asyncio.to_thread(probe)


async def test_every_route_of_the_api_is_in_the_document_with_words_and_a_name_of_its_own(served: Served) -> None:
    document = (await served.get("/openapi.json"))[1]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    for operation in operations:
        assert operation["tags"], operation
        assert operation["summary"], operation
        assert operation["description"], operation
        assert all("$ref" in str(answer) or "text/csv" in str(answer) for answer in operation["responses"].values())
