"""Executes queries. graphql-core is imported by this package, which is imported when the first query comes."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isawaitable
from typing import Any

from graphql import ExecutionResult, GraphQLError, build_schema, execute, parse, validate

from cdc.events.hands import Hands
from cdc.remote.graph.acting import Acting
from cdc.remote.graph.limits import TOKENS, Budget, check
from cdc.remote.graph.looking import Looking
from cdc.remote.graph.telling import Telling, Told
from cdc.remote.graph.words import SCHEMA
from cdc.remote.routes.service import Service

_SCHEMA = build_schema(SCHEMA)


async def ask(service: Service, query: str, variables: Mapping[str, Any], name: str | None) -> Told:
    """What a query comes to: `data`, and `errors` where there are any. What fails for no fault of its own is raised."""
    try:
        document = parse(query, no_location=True, max_tokens=TOKENS)
        if errors := validate(_SCHEMA, document, max_errors=10):
            return {"errors": [error.formatted for error in errors]}
        check(document)
    except GraphQLError as error:
        return {"errors": [error.formatted]}
    except RecursionError:
        return {"errors": [{"message": "The query is nested too deeply."}]}
    async with service.state() as conn:
        telling = Telling(conn, Budget())
        acting = Acting(Hands(conn, service.outbox), telling)
        root = {**Looking(telling).fields(), **acting.fields()}
        found = execute(_SCHEMA, document, root, variable_values=dict(variables), operation_name=name)
        told = _formatted(await found if isawaitable(found) else found)
    if acting.acted:
        service.wake()
    return told


def _formatted(result: ExecutionResult) -> Told:
    for error in result.errors or ():
        if error.original_error is not None and not isinstance(error.original_error, GraphQLError):
            raise error.original_error
    told: Told = {"data": result.data}
    if result.errors:
        told["errors"] = [error.formatted for error in result.errors]
    return told
