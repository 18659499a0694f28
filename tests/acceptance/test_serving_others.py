"""A service that others reach: who is let in, and that no secret shows."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from cdc.client import Client
from cdc.config import Settings, variable
from tests.acceptance.service import cdc, refused, running
from tests.servers import Connect
from tests.waiting import eventually

TOKEN, SCRAPES, KEY = "open-sesame-0123456789", "open-sesame-metrics-01", "open-sesame-events-012"
SIGNING = "signkey-prod-" + "5e5a" * 8
NOWHERE = "postgresql://somebody:open-sesame@127.0.0.1:1/app"


async def test_others_are_refused_a_service_without_credentials_before_the_database_is_tried() -> None:
    done = await refused(
        "run",
        code=78,
        says="CDC_DASHBOARD_TOKEN and CDC_EVENT_KEY are not set",
        hint="openssl rand",
        DATABASE_URL=NOWHERE,
        CDC_HOST="0.0.0.0",
    )
    assert not done.logged


async def test_others_are_served_with_credentials_and_no_secret_shows(connect: Connect, database_url: str) -> None:
    secrets = {
        variable(name): f"open-sesame-{name}-0123456789"
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }
    password = re.search(r":([^:@]+)@", database_url)
    assert password is not None
    secrets |= {"DATABASE_URL": database_url, "CDC_STATE_DATABASE_URL": database_url, "CDC_SOURCES": ""}
    secrets |= {"CDC_DASHBOARD_TOKEN": TOKEN, "CDC_METRICS_TOKEN": SCRAPES, "CDC_EVENT_KEY": f"{KEY}, {KEY}-2"}
    secrets |= {"CDC_SIGNING_KEY": SIGNING, "CDC_SIGNING_KEY_FALLBACK": f"{SIGNING}5e5a"}
    shown = []
    azure = {"AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:1"}
    settings = {**secrets, **azure, "CDC_HOST": "0.0.0.0", "CDC_LOG_LEVEL": "debug"}
    async with running(**settings) as service:
        url = service.url.replace("0.0.0.0", "127.0.0.1")
        port = url.rpartition(":")[2]

        async def is_healthy() -> bool:
            told = await cdc("health", CDC_HOST="0.0.0.0", CDC_PORT=port)
            return (told.code, told.out) == (0, "ready\n")

        await eventually(is_healthy, what="the command says so; to one that stands still it gives five seconds")

        async with httpx.AsyncClient(
            base_url=url, trust_env=False, headers={"host": "cdc.internal"}, timeout=30
        ) as client:
            assert (await client.get("/livez")).status_code == 200
            assert (await client.get("/v1/runs")).status_code == 401
            assert (await client.get("/overview", headers={"accept": "text/html"})).status_code == 303
            assert (await client.post("/e/wrong", json={"name": "app/a"})).status_code == 401
            client.headers["authorization"] = f"Bearer {SCRAPES}"
            assert (await client.get("/v1/runs")).status_code == 401
            shown.append((await client.get("/metrics")).text)
            client.headers["authorization"] = f"Bearer {TOKEN}"
            for path in ("/v1/status", "/v1/runs", "/openapi.json", "/overview", "/replication"):
                answer = await client.get(path)
                assert answer.status_code == 200, path
                shown.append(answer.text)

        served = Client(url, KEY, token=TOKEN)
        (event,) = await served.send({"name": "app/nobody.waits"})
        assert await served.ended(event) == []
        shown += [service.output, *command_lines(service.pid)]
    shown += [(await cdc("--help", **settings)).out, (await cdc("run", "--help", **settings)).out]
    for text in shown:
        assert "open-sesame" not in text
        assert SIGNING.rpartition("-")[2] not in text
        assert password[1] not in text


def command_lines(pid: int) -> list[str]:
    """Those of a process and of the processes that it has started."""
    started = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [Path(f"/proc/{each}/cmdline").read_text() for each in (str(pid), *started)]
