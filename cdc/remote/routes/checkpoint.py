"""`POST /v1/checkpoint/{run}/async`: steps that an app tells of while it goes on with their run (section 6)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.remote import deferring, planning
from cdc.remote.answer import Op
from cdc.remote.checkpoints import Checkpoints, Took
from cdc.remote.deferring import Defers
from cdc.remote.opcodes import NoOpcode, opcodes
from cdc.remote.recognised import call_of
from cdc.remote.routes.answers import Json, object_of, run_of
from cdc.remote.routes.service import Service
from cdc.store import deferred
from cdc.store.ai_calls import CallRecord
from cdc.store.failures import StatementFailed, about_a_value
from cdc.store.json import document
from cdc.store.reported import Report, Told

log = structlog.get_logger(__name__)

LARGEST = 4 * 1024 * 1024
"""Characters of JSON that one result may have."""

_CLAIM = re.compile(r"(\d{1,9})\.(\d{1,9})")
"""What was sent as `ctx.qi_id`: the worker and the claim."""

_LONGEST_ID = 255

_STALE = "The run went on without this call, or has ended: what it tells of does not count."
_NO_CLAIM = "qi_id is not that of a call of this service."
_OTHERS = (
    "A checkpoint tells of steps that ended (StepRun, StepFailed) and of deferred runs; send others with the answer to "
    "the call."
)


def routes(service: Service) -> list[Route]:
    """The one route."""
    checkpoints = Checkpoints(service.state)

    async def take(request: Request) -> Response:
        report = await _report(service, run_of(request), await object_of(request))
        sizes = [len(step.data or step.error or "") for step in report.steps]
        if max(sizes, default=0) > LARGEST:
            raise HTTPException(413, f"The result of a step has at most {LARGEST:,} characters of JSON.")
        try:
            took = await checkpoints.take(report, sum(sizes))
        except StatementFailed as failed:
            if not about_a_value(failed):
                raise
            raise HTTPException(400, "A step has a value that the database cannot store.") from None
        if took is Took.STALE:
            return Json({"error": _STALE, "status": 409}, status_code=409)
        return Response(status_code=200)

    return [Route("/v1/checkpoint/{run}/async", take, methods=["POST"])]


async def _report(service: Service, run_id: str | None, body: Mapping[str, Any]) -> Report:
    claim = _CLAIM.fullmatch(str(body.get("qi_id")))
    if run_id is None or claim is None:
        raise HTTPException(400, _NO_CLAIM)
    ops: Sequence[Op]
    try:
        ops = opcodes(body.get("steps") or [], time.time())
    except NoOpcode as wrong:
        raise HTTPException(400, str(wrong)) from None
    defers = [op for op in ops if op.op in deferring.OPCODES]
    ops = [op for op in ops if op.op not in planning.LAZY]
    if any(op.op not in ("StepRun", "StepFailed") for op in ops):
        raise HTTPException(400, _OTHERS)
    steps: dict[str, Told] = {}
    for op in ops:
        steps.setdefault(op.key, told(op, run_id, body.get("fn_id")))
    kept = await _deferred(service, run_id, defers) if defers else []
    return Report(run_id, int(claim[1]), int(claim[2]), [*steps.values(), *kept])


async def _deferred(service: Service, run_id: str, ops: Sequence[Op]) -> list[Told]:
    """What is to be recorded of runs that the run defers, or takes back."""
    async with service.state() as conn:
        known = await deferred.sizes(conn, run_id)
    kept, refused = Defers(known).take(ops)
    for _, reason in refused:
        log.warning("a run is not deferred", run=run_id, reason=reason)
    return [Told(key, kind, data=data) for key, kind, data in kept]


def told(op: Op, run_id: str, function_id: object) -> Told:
    """A step that ended, as it is recorded."""
    kind = planning.kind_of(op)
    if op.op == "StepFailed" or op.error is not None:
        return Told(op.key, kind, error=document(op.error or {"name": "Error", "message": ""}), took=op.took)
    call = call_of(op.data, op.took) if kind == "wrap" else None
    record = None
    if call is not None:
        record = CallRecord(**call.flat(), run_id=run_id, step_id=op.key, attempt=1, function_id=_id(function_id))
    return Told(op.key, kind, data=document(op.data), took=op.took, call=record)


def _id(given: object) -> str | None:
    """The function that an app says it is: what we told it."""
    return given if isinstance(given, str) and given.isprintable() and len(given) <= _LONGEST_ID else None
