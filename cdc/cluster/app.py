"""Our functions at `/api/inngest`, served with Inngest's SDK."""

from __future__ import annotations

import warnings

import inngest
import structlog
from fastapi import FastAPI

from cdc.authoring.function import Function
from cdc.cluster.configs import config_of, leftover
from cdc.cluster.handling import Around, handler_of
from cdc.cluster.requests import Reading
from cdc.errors import ConfigurationError

with warnings.catch_warnings():  # the SDK's module says things in a way that pydantic will forget
    warnings.simplefilter("ignore", DeprecationWarning)
    import inngest.fast_api

log = structlog.get_logger(__name__)


def app_of(around: Around, *, approximate: bool = False) -> FastAPI:
    """The application. What a cluster lacks is replaced by the nearest it has if `approximate`, else it is refused.

    Raises:
        ConfigurationError: a function needs what a cluster has not, there is none, or a key is missing.
    """
    client = inngest.Inngest(app_id=around.app, middleware=[Reading])
    if client.is_production and client.event_key is None:
        log.warning("without INNGEST_EVENT_KEY no step can send an event")
    served = _served(client, around, approximate=approximate)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    try:
        inngest.fast_api.serve(app, client, served)
    except Exception as error:
        if type(error).__name__ != "SigningKeyMissingError":
            raise
        raise ConfigurationError(
            "There is no INNGEST_SIGNING_KEY, with which the cluster's calls are known.",
            hint="Set it, or INNGEST_DEV=1 (or the address of a development server) for one without keys.",
        ) from None
    log.info("functions for the cluster", app=around.app, functions=len(served))
    return app


def _served(client: inngest.Inngest, around: Around, *, approximate: bool) -> list[inngest.Function[object]]:
    made: list[inngest.Function[object]] = []
    for function in around.functions.values():
        if reason := leftover(function):
            log.warning("a function is not served to the cluster", function=function.id, reason=reason)
        else:
            made.append(_made(client, function, around, approximate=approximate))
    if not made:
        raise ConfigurationError(
            "There is no function that a cluster could run.", hint="Name the folder of yours in CDC_FUNCTIONS."
        )
    return made


def _made(
    client: inngest.Inngest, function: Function, around: Around, *, approximate: bool
) -> inngest.Function[object]:
    config = config_of(function, around.app)
    if config.lacks and not approximate:
        raise ConfigurationError(
            f"Function {function.id!r} cannot run on a cluster as it is: {'; '.join(config.lacks)}.",
            hint="Change it, keep it out of CDC_FUNCTIONS, or take the nearest that there is with --approximate.",
        )
    for note in (*config.lacks, *config.notes):
        log.warning("a function is not the same on the cluster", function=function.id, note=note)
    return client.create_function(**config.arguments)(handler_of(function, around))
