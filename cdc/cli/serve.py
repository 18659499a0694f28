"""`cdc serve`: our functions for somebody else's engine."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter

from cdc import config, telemetry
from cdc.cli.run import until_signalled
from cdc.errors import ConfigurationError


def serve(
    *,
    inngest: Annotated[bool, Parameter(negative=())] = False,
    host: str = "127.0.0.1",
    port: int = 8000,
    app_id: str = "cdc",
    approximate: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Serve our functions to an Inngest cluster, until SIGTERM or Ctrl-C: docs/inngest.md.

    Those of CDC_FUNCTIONS are at /api/inngest, by Inngest's own SDK (extra `inngest`), which reads INNGEST_DEV,
    INNGEST_SIGNING_KEY, INNGEST_EVENT_KEY and its other variables. This process listens to no database.

    Args:
        inngest: serve them with Inngest's SDK; there is no other way yet.
        host: address of this machine that the cluster reaches it by.
        port: its port; 0 picks a free one.
        app_id: name of the app there; the id of a function is `<app>-<function>`.
        approximate: take the nearest that the cluster has for what it lacks, as order_by, instead of refusing.
    """
    if not inngest:
        raise ConfigurationError("cdc serve does not know for whom.", hint="Say it: cdc serve --inngest.")
    settings = config.load()
    telemetry.configure(settings.log_level, settings.log_format)
    from cdc.service import inngest as service

    return asyncio.run(
        until_signalled(service.serve(settings, host=host, port=port, app_id=app_id, approximate=approximate))
    )
