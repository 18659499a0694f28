"""How changes come: slot, publication, lag, and what the doctor says."""

from __future__ import annotations

from fastapi import APIRouter

from cdc.web.api.strict import Strict

router = APIRouter(route_class=Strict, tags=["replication"])
