"""`POST /v0/gql`: GraphQL (section 8). Its library is loaded when the first query comes: most services need it not."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.remote.routes.answers import Json, object_of
from cdc.remote.routes.service import Service

LONGEST = 20_000
"""Characters of a query."""


def routes(service: Service) -> list[Route]:
    """The one route."""

    async def ask(request: Request) -> Response:
        body = await object_of(request)
        query, variables, name = body.get("query"), body.get("variables"), body.get("operationName")
        if not isinstance(query, str) or not isinstance(variables, dict | None) or not isinstance(name, str | None):
            raise HTTPException(400, "Send a query, and its variables if it has any, as GraphQL over HTTP has them.")
        if len(query) > LONGEST:
            raise HTTPException(413, f"A query has at most {LONGEST:,} characters.")
        from cdc.remote.graph import asking

        return Json(await asking.ask(service, query, variables or {}, name))

    return [Route("/v0/gql", ask, methods=["POST"])]
