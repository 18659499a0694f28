"""Publishes with the Python SDK, and gets a token: `python -m tests.remote.realtime.python_publisher <url>`."""

from __future__ import annotations

import asyncio
import json
import sys

import inngest
from inngest.experimental import realtime


async def main() -> None:
    client = inngest.Inngest(app_id="py", api_base_url=sys.argv[1], event_api_base_url=sys.argv[1], is_production=False)
    await realtime.publish(client, "room", "said", {"hello": "world"})
    print(json.dumps(await realtime.get_subscription_token(client, "room", ["said"])))


asyncio.run(main())
