"""Who listens to a run hears what its steps and itself come to, and costs nobody anything else."""

from __future__ import annotations

from typing import Any

import aiohttp

from tests.web.conftest import Served


async def test_who_listens_to_a_run_hears_its_steps_and_its_end_whatever_came_before(served: Served) -> None:
    run_id, other = await served.state.queue(2, "paid")

    async def ended(run_id: str, step_id: str) -> None:
        await served.state.rows(
            "insert into cdc_state.steps (run_id, id, kind, data, started_at, ended_at)"
            f" values ('{run_id}', '{step_id}', 'run', '{{\"n\": 1}}', now(), now()) returning id"
        )

    await ended(run_id, "before")
    await ended(other, "of another")
    asked = [{"channel": run_id, "name": name, "kind": "run"} for name in ("$run", "$step")]
    token = (await served.ask("POST", "/v1/realtime/token", asked)).json()["jwt"]
    async with (
        aiohttp.ClientSession(served.url) as client,
        client.ws_connect("/v1/realtime/connect", params={"token": token}) as socket,
    ):

        async def heard() -> dict[str, Any]:
            told: dict[str, Any] = await socket.receive_json(timeout=60)
            assert (told["channel"], told["run_id"], told["fn_id"]) == (run_id, run_id, "paid")
            return told

        first = await heard()
        assert (first["kind"], first["topic"], first["data"]) == ("step", "before", {"n": 1})
        await ended(run_id, "after")
        assert (await heard())["topic"] == "after"
        await served.state.rows(
            f"update cdc_state.runs set status = 'completed', ended_at = now(), output = '7' where id = '{run_id}'"
            " returning id"
        )
        last = await heard()
        assert (last["kind"], last["topic"], last["data"], last["status"]) == ("run", "$run", 7, "completed")
