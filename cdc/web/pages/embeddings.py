"""The page of embeddings: how far each target is, texts that were put aside, and a box to search with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cdc.ai.errors import InputRefused, ProviderRejected, ProviderUnavailable
from cdc.authoring.hit import Hit
from cdc.errors import CdcError
from cdc.store.failures import ConnectionTrouble, PoolTimeout
from cdc.web.guard.forms import checked_form
from cdc.web.pages.rendering import render
from cdc.web.site import Embedded, Site

_PUT_ASIDE = 50
_HITS = 8

_NOTICES = {"retry": "These texts are tried again; what succeeds disappears from the list."}


def routes(site: Site) -> list[Route]:
    """Looking, searching and trying again."""
    if site.embedded is None:
        return []
    embedded = site.embedded

    async def page(request: Request) -> Response:
        query = request.query_params
        targets = [_shown(each) for each in await embedded.standing(None)]
        asked, hits, problem = _asked(query, targets), None, None
        if asked["words"]:
            try:
                hits = await _search(site, asked)
            except _Unanswered as unanswered:
                problem = str(unanswered)
        return render(
            request,
            "embeddings.html",
            targets=targets,
            searchable=[each for each in targets if each.get("state") == "live"],
            put_aside=[_keyed(each) for each in await embedded.put_aside(_PUT_ASIDE)],
            asked=asked,
            hits=hits,
            problem=problem,
            notice=_NOTICES.get(query.get("done", "")),
        )

    async def retry(request: Request) -> Response:
        return await _retry(embedded, request)

    return [Route("/embeddings", page), Route("/embeddings/retry", retry, methods=["POST"])]


class _Unanswered(Exception):
    """A search has no answer; says why."""


async def _search(site: Site, asked: Mapping[str, Any]) -> Sequence[Hit]:
    source, table, target = asked["place"]
    embeddings = site.embeddings(source)
    if embeddings is None:
        raise _Unanswered("There is no such source.")
    try:
        return await embeddings.search(table, asked["words"], _HITS, target=target, hybrid=asked["hybrid"])
    except (CdcError, InputRefused, ProviderRejected, ProviderUnavailable) as error:
        raise _Unanswered(str(error)) from None
    except (*ConnectionTrouble, PoolTimeout):
        raise _Unanswered("The database that is searched does not answer.") from None


def _asked(query: Mapping[str, str], targets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the box holds: the words, and the target among those that there are."""
    places = {each["place"]: each for each in targets if each.get("state") == "live"}
    chosen = query.get("in", "") if query.get("in", "") in places else next(iter(places), "")
    where = places.get(chosen)
    return {
        "words": query.get("words", "").strip() if where else "",
        "in": chosen,
        "place": (where["source"], where["table"], where["target"]) if where else None,
        "hybrid": query.get("hybrid") == "on",
    }


def _shown(standing: dict[str, Any]) -> dict[str, Any]:
    """A target with what its card needs besides: the share that is done, and a name among all of them."""
    if "table" not in standing:
        return {**standing, "place": "", "state": "failed"}
    counts = standing["counts"]
    wanted = counts and counts["embedded"] + counts["pending"]
    return {
        **standing,
        "place": f"{standing['source']}/{standing['id']}",
        "share": None if not counts else counts["embedded"] / wanted if wanted else 1.0,
    }


def _keyed(row: dict[str, Any]) -> dict[str, Any]:
    """A text put aside with its key as `cdc.retry_embeddings()` wants it."""
    key = row["key"]
    return {**row, "named": key[0] if len(key) == 1 else json.dumps(key, ensure_ascii=False)}


def _quoted(table: str) -> str:
    """`schema.table` as SQL writes it."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in table.split(".", 1))


async def _retry(embedded: Embedded, request: Request) -> Response:
    form = await checked_form(request)
    source, table, target, key = (str(form.get(name) or "") for name in ("source", "table", "target", "key"))
    try:
        await embedded.retry(source or None, _quoted(table), target or None, key or None)
    except CdcError as error:
        return render(request, "refused.html", status_code=400, problem=str(error), back="/embeddings")
    return RedirectResponse("/embeddings?done=retry", status_code=303)
