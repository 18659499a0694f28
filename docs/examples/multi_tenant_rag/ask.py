"""Ask about one tenant's contacts. For example: python ask.py 'Who knows compilers?' --tenant acme."""

import argparse
import sys
import time
from typing import Any

import httpx

from cdc import Client, Event

PATIENCE = 120.0


def ended(url: str, event: str) -> dict[str, Any]:
    """The run that an event started, once it has ended."""
    with httpx.Client(base_url=url, trust_env=False) as client:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for run in client.get(f"/v1/events/{event}/runs").raise_for_status().json()["data"]:
                if run["status"] in ("completed", "failed", "cancelled"):
                    return dict(run)
            time.sleep(0.2)
    sys.exit(f"no run of event {event} has ended within {PATIENCE:.0f} seconds: look at {url}/v1/runs")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("question")
    options.add_argument("--tenant", required=True, help="the name of its database in CDC_SOURCES")
    options.add_argument("--url", default="http://127.0.0.1:8288", help="where the service is")
    chosen = options.parse_args()
    (event,) = Client(chosen.url).send_sync(
        Event("contacts/asked", {"tenant": chosen.tenant, "question": chosen.question})
    )
    run = ended(chosen.url, event)
    if run["status"] != "completed":
        sys.exit(f"the run {run['status']}: cdc runs {run['id']} says why")
    print(run["output"]["answer"])
    print("from", ", ".join(run["output"]["contacts"]) or "no contacts")


if __name__ == "__main__":
    main()
