"""What is refused is told in one shape, and in a sentence that names what is wrong."""

from __future__ import annotations

import pytest

from tests.web.conftest import Served


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "says"),
    [
        ("GET", "/v1/nothing", {}, 404, "nothing at this address"),
        ("DELETE", "/v1/runs", {}, 405, "the method is not"),
        ("GET", "/v1/runs?statuses=failed", {}, 400, "There is no parameter 'statuses' here; is 'status' meant?"),
        ("GET", "/v1/functions?x=1", {}, 400, "There is no parameter 'x' here, nor any other."),
        ("GET", "/v1/events?limit=0", {}, 400, "limit must be at least 1."),
        ("GET", "/v1/events?since=soon", {}, 400, "since cannot be used: not a moment: 'soon'"),
        ("GET", "/v1/events?name=%00", {}, 400, "a text with a NUL"),
        ("GET", "/v1/runs?cursor=none", {}, 400, "cursor does not look as it must."),
        ("POST", "/v1/signals", {"body": {}}, 400, "signal is missing."),
        ("POST", "/v1/signals", {"body": {"signal": "a", "date": {}}}, 400, "There is no field 'date' here."),
        ("POST", "/v1/signals", {"body": b"["}, 400, "The body is not JSON."),
        ("POST", "/v1/signals", {"body": b"{}", "content_type": "text/plain"}, 415, "content-type: application/json"),
        (
            "POST",
            "/v1/search",
            {"body": {"table": "a", "query": "b", "limit": "c"}},
            400,
            "limit is not a whole number",
        ),
        ("POST", "/v1/functions/nobody/pause", {"body": {}}, 404, "There is no such function."),
    ],
)
async def test_what_is_wrong_is_told_in_one_shape(
    served: Served, method: str, path: str, sent: dict[str, object], status: int, says: str
) -> None:
    response = await served.ask(method, path, **sent)  # type: ignore[arg-type]
    answer = response.json()
    assert (response.status_code, answer.keys(), answer["status"]) == (status, {"error", "status"}, status)
    assert says in answer["error"]


async def test_head_is_answered_as_get_without_a_body(served: Served) -> None:
    for path in ("/livez", "/v1/events"):
        response = await served.ask("HEAD", path)
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-type"] == "application/json"
