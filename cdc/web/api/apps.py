"""Apps: those written with Inngest's SDKs, their functions, added and removed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel, Field

from cdc.store import apps as stored
from cdc.store import looking
from cdc.web.answers import Json
from cdc.web.api.answering import All, Asked, Nothing, One, changes, refused
from cdc.web.api.functions import Function
from cdc.web.api.strict import Here, Strict

router = APIRouter(route_class=Strict, tags=["apps"])

Name = Annotated[str, Path(alias="name", description="Of an app; of one that never answered, its URL.")]


class App(BaseModel):
    """An app, as its SDK told of it last."""

    id: int
    name: str | None = Field(description="Null: it never answered, and is known by its URL only.")
    url: str | None = Field(description="Null: it connects by itself.")
    sdk: str | None
    framework: str | None
    version: str | None
    created_at: datetime
    synced_at: datetime | None
    tried_at: datetime | None
    error: str | None = Field(description="Why it could not be synced.")
    functions: list[str] = Field(description="The ids of those in force.")


class Adding(Asked):
    """An app to ask for its functions."""

    url: str = Field(description="Where it serves Inngest's handler.", max_length=2000)


class Removed(BaseModel):
    """An app was removed."""

    name: str


@router.get("/v1/apps", operation_id="list_apps", summary="Apps", response_model=All[App], responses=refused())
async def list_apps(site: Here) -> Json:
    """Those without a name first, then by name."""
    async with site.state() as conn:
        return Json({"data": await stored.listed(conn)})


@router.post(
    "/v1/apps", operation_id="add_app", summary="Add an app", response_model=One[App], responses=changes(404, 409)
)
async def add_app(site: Here, body: Adding) -> Json:
    """Ask it for its functions, now and from then on. Where that failed, `error` says why; it is tried again."""
    if site.apps is None:
        raise HTTPException(409, "This service asks no apps.")
    try:
        added = await site.apps.add(body.url)
    except ValueError as unusable:
        raise HTTPException(400, f"This cannot be an app: {unusable}.") from None
    if added is None:
        raise _unknown()
    return Json({"data": added})


@router.get(
    "/v1/apps/{name:path}/functions",
    operation_id="list_functions_of_app",
    summary="Functions of an app",
    response_model=All[Function],
    responses=refused(404),
)
async def list_functions_of_app(site: Here, name: Name) -> Json:
    """Those in force, as they are registered, by id."""
    async with site.state() as conn:
        if not await stored.listed(conn, name):
            raise _unknown()
        return Json({"data": [each for each in await looking.functions(conn) if each.get("app") == name]})


@router.delete(
    "/v1/apps/{name:path}",
    operation_id="remove_app",
    summary="Remove an app",
    response_model=One[Removed],
    responses=changes(404),
)
async def remove_app(site: Here, name: Name, body: Nothing | None = None) -> Json:
    """Its functions start no more runs; those under way are not ended."""
    async with site.state() as conn:
        removed = await stored.remove(conn, name)
    if not removed:
        raise _unknown()
    site.wake()
    return Json({"data": {"name": name}})


def _unknown() -> HTTPException:
    return HTTPException(404, "There is no such app.")
