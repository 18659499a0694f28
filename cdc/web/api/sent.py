"""What the document says of `POST /e/{key}`, the busiest route, which `cdc.web.sending` serves without a framework."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cdc.web.api.answering import Refusal


class NewEvent(BaseModel):
    """An event on its way in."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(
        min_length=1,
        max_length=255,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9/._-]*$",
        description="None that begins with `db/`. Other printable names without `*` are taken, too.",
    )
    data: dict[str, Any] | None = Field(default=None, description="At most 3 MiB.")
    id: str | None = Field(default=None, max_length=255, description="An event with the same one counts once in 24 h.")
    ts: int | None = Field(
        default=None, ge=315_532_800_000, lt=4_102_444_800_000, description="Milliseconds since 1970."
    )
    user: dict[str, Any] | None = None
    v: str | None = Field(default=None, max_length=255, description="Version of the data's shape.")


class Sent(BaseModel):
    """Under what ids events are stored."""

    ids: list[str]
    status: int


class NotSent(Refusal):
    """Why events are not stored; those with `ids` are."""

    ids: list[str] = Field(default_factory=list)


MODELS: tuple[type[BaseModel], ...] = (NewEvent, Sent, NotSent)


def _answer(description: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


OPERATION: dict[str, Any] = {
    "tags": ["events"],
    "operationId": "send_events",
    "summary": "Send events",
    "description": "One or several, as Inngest's SDKs do. They are stored, and their runs made, when this answers.",
    "parameters": [
        {"name": "key", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
        {
            "name": "x-inngest-event-id-seed",
            "in": "header",
            "description": "New for each request: with it, the same request again stores nothing twice.",
            "schema": {"type": "string"},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/NewEvent"},
                        {"type": "array", "maxItems": 5000, "items": {"$ref": "#/components/schemas/NewEvent"}},
                    ]
                }
            }
        },
    },
    "responses": {
        "200": _answer("All are stored.", Sent),
        "400": _answer("One cannot be used: those before it are stored.", NotSent),
        "401": _answer("There is no such event key.", NotSent),
        "413": _answer("The body is too large.", NotSent),
        "415": _answer("The body is not sent as JSON.", NotSent),
        "429": _answer("More come than can be stored: send them again after `retry-after` seconds.", NotSent),
        "503": _answer("The state database does not answer; send them again.", NotSent),
    },
}
