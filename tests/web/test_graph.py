"""GraphQL, as the test suites of SDKs ask it, and how much of it one query may ask for."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from graphql import get_introspection_query

from tests.web.conftest import Served

RUN = """query GetRun($run_id: String!) {
  run(runID: $run_id) { output status }
  runTrigger(runID: $run_id) { payloads }
}"""
HISTORY = "query GetHistory($run_id: String!) { run(runID: $run_id) { trace { childrenSpans { name outputID } } } }"
OUTPUT = """query GetHistory($output_id: String!) {
  runTraceSpanOutputByID(outputID: $output_id) { data error { message name stack } }
}"""
EVENT = "query GetRunFromEventID($event_id: ID!) { event(query: {eventId: $event_id}) { functionRuns { id } } }"


async def ask(served: Served, query: str, **variables: Any) -> dict[str, Any]:
    status, answer = await served.post("/v0/gql", {"query": query, "variables": variables})
    assert status == 200
    found: dict[str, Any] = answer
    return found


async def good(served: Served, query: str, **variables: Any) -> Any:
    answer = await ask(served, query, **variables)
    assert "errors" not in answer, answer
    return answer["data"]


async def started(served: Served) -> tuple[str, str]:
    """An event and the run that it started."""
    _, answer = await served.post("/e/any", {"name": "app/order.paid", "data": {"n": 1}})
    (event_id,) = answer["ids"]
    return event_id, await served.state.one("select id::text from cdc_state.runs where %s = any (event_ids)", event_id)


async def end(served: Served, run_id: str, status: str, *, output: Any = None, error: Any = None) -> None:
    await served.state.rows(
        "update cdc_state.runs set status = %s, output = %s, error = %s, ended_at = now() where id = %s returning 1",
        status,
        json.dumps(output),
        None if error is None else json.dumps(error),
        run_id,
    )


@pytest.mark.parametrize(
    ("status", "output", "error", "told"),
    [
        ("completed", {"a": [1]}, None, ("COMPLETED", {"a": [1]})),
        ("completed", None, None, ("COMPLETED", None)),
        ("failed", None, {"name": "E", "code": "x", "error": "how"}, ("FAILED", {"name": "E", "code": "x"})),
        (
            "cancelled",
            None,
            {"name": "RunCancelled", "message": "x"},
            ("CANCELLED", {"name": "RunCancelled", "message": "x"}),
        ),
    ],
)
async def test_a_run_has_its_output_with_its_status(
    served: Served, status: str, output: Any, error: Any, told: tuple[str, Any]
) -> None:
    _, run_id = await started(served)
    before = await good(served, RUN, run_id=run_id)
    assert before["run"] == {"output": None, "status": "QUEUED"}
    assert json.loads(before["runTrigger"]["payloads"][0])["data"] == {"n": 1}
    await end(served, run_id, status, output=output, error=error)
    run = (await good(served, RUN, run_id=run_id))["run"]
    assert (run["status"], json.loads(run["output"])) == told


async def test_a_run_that_is_not_there_is_an_object_without_anything(served: Served) -> None:
    for run_id in (str(uuid4()), "01JAAAAAAAAAAAAAAAAAAAAAAA"):
        answer = await ask(served, RUN, run_id=run_id)
        assert answer["data"] == {"run": {"output": None, "status": None}, "runTrigger": None}
        assert answer["errors"], "who asks asks again"
        assert await good(served, EVENT, event_id=run_id) == {"event": {"functionRuns": []}}


async def test_steps_are_told_in_their_order_and_each_output_unwrapped(served: Served) -> None:
    event_id, run_id = await started(served)
    event = {"id": "a", "name": "x", "data": {}, "ts": 1, "user": {}, "v": None}
    for place, (key, kind, data, error) in enumerate(
        [
            ("first", "run", {"data": 1}, None),
            ("second", "run", None, {"name": "E", "message": "no", "stack": "at f"}),
            ("came", "wait", event, None),
            ("nap", "sleep", None, None),
        ]
    ):
        await served.state.rows(
            "insert into cdc_state.steps (run_id, id, kind, data, error, started_at, ended_at, wake_at)"
            " select %s, n.id, n.kind, %s, %s, now() + make_interval(secs => %s), case kind when 'sleep' then null"
            " else now() end, case kind when 'sleep' then now() end from (values (%s, %s)) as n (id, kind) returning 1",
            *(run_id, json.dumps(data), None if error is None else json.dumps(error), place, key, kind),
        )
    spans = (await good(served, HISTORY, run_id=run_id))["run"]["trace"]["childrenSpans"]
    assert [span["name"] for span in spans] == ["first", "second", "came", "nap"]
    found = [(await good(served, OUTPUT, output_id=span["outputID"]))["runTraceSpanOutputByID"] for span in spans]
    assert json.loads(found[0]["data"]) == {"data": 1}
    assert found[1] == {"data": None, "error": {"name": "E", "message": "no", "stack": "at f"}}
    assert json.loads(found[2]["data"]) == {"id": "a", "name": "x", "data": {}, "ts": 1, "user": {}}
    assert json.loads(found[3]["data"]) is None
    assert (await good(served, EVENT, event_id=event_id))["event"]["functionRuns"] == [{"id": run_id}]
    for wrong in ("", "!", "e30=", "WyJhIiwgMV0="):
        assert (await ask(served, OUTPUT, output_id=wrong))["errors"]


async def test_what_stands_beside_is_told_too(served: Served) -> None:
    event_id, run_id = await started(served)
    await end(served, run_id, "completed", output="x" * 5000)
    found = await good(
        served,
        """{ runs(first: 1, status: COMPLETED) { id output eventIDs function { slug triggers { type value } } }
             events(name: "app/*") { id payload functionRuns { status } }
             functions { id isPaused runs { id } } function(id: "none") { id } apps { name } }""",
    )
    (run,) = found["runs"]
    assert (run["id"], run["eventIDs"], json.loads(run["output"])) == (run_id, [event_id], "x" * 5000)
    assert run["function"] == {"slug": "paid", "triggers": [{"type": "EVENT", "value": "app/order.paid"}]}
    assert found["events"][0]["functionRuns"] == [{"status": "COMPLETED"}]
    assert json.loads(found["events"][0]["payload"])["name"] == "app/order.paid"
    assert found["functions"] == [{"id": "paid", "isPaused": False, "runs": [{"id": run_id}]}]
    assert (found["function"], found["apps"]) == (None, [])


async def test_runs_are_cancelled_and_given_their_events_again(served: Served) -> None:
    _, run_id = await started(served)
    cancel, rerun = (
        "mutation($id: String!) { cancelRun(runID: $id) { status } }",
        "mutation($id: String!) { rerun(runID: $id) }",
    )
    assert await good(served, cancel, id=run_id) == {"cancelRun": {"status": "CANCELLED"}}
    woken = len(served.woken)
    again = (await good(served, rerun, id=run_id))["rerun"]
    assert (await good(served, RUN, run_id=again))["run"]["status"] == "QUEUED"
    invoke = 'mutation($data: String) { invokeFunction(functionSlug: "paid", data: $data) }'
    event_id = (await good(served, invoke, data='{"n": 2}'))["invokeFunction"]
    assert len((await good(served, EVENT, event_id=event_id))["event"]["functionRuns"]) == 1
    assert len(served.woken) == woken + 2
    for query, variables in ((cancel, {"id": "x"}), (rerun, {"id": str(uuid4())}), (invoke, {"data": "[1]"})):
        assert (await ask(served, query, **variables))["errors"]


TOO_MUCH = {
    "{ runs(first: 101) { id } }": "first is between",
    "{ runs(first: 0) { id } }": "first is between",
    "{ runs { function { " + "runs { function { " * 8 + "id" + " } }" * 8 + " } } }": "within each other",
    "{ " + " ".join(f"a{number}: apps {{ name }}" for number in range(126)) + " }": "250 fields",
    "{ " + " ".join(f"a{number}: apps {{ name }}" for number in range(251)) + " }": "tokens",
    "{ ...f0 } "
    + " ".join(f"fragment f{n} on Query {{ " + f"...f{n + 1} " * 9 + "}" for n in range(6))
    + " fragment f6 on Query { apps { name } }": "250 fields",
    "{ a: runs(first: 100) { trace { name } } b: runs(first: 100) { trace { name } } }": "reads the database",
    "{ ...a } fragment a on Query { ...a }": "spread",
    "{ nothing }": "Cannot query field",
    "{" * 300: "Syntax Error",
}


async def test_a_query_that_asks_for_too_much_or_for_nothing_is_refused(served: Served) -> None:
    await served.state.queue(100, "paid")
    for query, why in TOO_MUCH.items():
        assert why in (await ask(served, query))["errors"][0]["message"]


async def test_tools_may_ask_what_there_is(served: Served) -> None:
    found = await good(served, get_introspection_query())
    assert "RunTrigger" in {each["name"] for each in found["__schema"]["types"]}


async def test_what_is_no_query_is_refused(served: Served) -> None:
    for body in (b"{", b"[]", {}, {"query": 1}, {"query": "{ apps { name } }", "variables": []}):
        assert (await served.post("/v0/gql", body))[0] == 400
    assert (await served.post("/v0/gql", {"query": " " * 20_001}))[0] == 413
    assert (await served.ask("GET", "/v0/gql?query={apps{name}}")).status_code == 405
