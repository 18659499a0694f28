"""`cdc embed status`: how embeddings stand."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence

import orjson
from rich.console import Console
from rich.live import Live
from rich.text import Text

from cdc import config
from cdc.cli import showing
from cdc.cli.database import DEFAULT, Source, chosen
from cdc.service.databases import Databases
from cdc.service.embedding_status import Filling, Standing, standing
from cdc.store.json import register
from cdc.store.names import table_of

_EVERY = 1.0

Look = Callable[[], Awaitable[Sequence[Standing]]]


def status(table: str | None = None, *, json: bool = False, watch: bool = False, source: Source = DEFAULT) -> int:
    """Show every declared embedding: model, how many rows have their vectors, index, cost, and what is wrong.

    Rows are counted up to 100,000; larger figures are the server's estimates, with a ~ before them. Tokens and cost are
    those of the model, for all embeddings that use it, as far back as calls are kept.

    Args:
        table: only of this table, named with its schema when that is not public.
        json: for programs.
        watch: go on, every second, until Ctrl-C.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    settings = config.load()
    named = chosen(settings, source)
    register()
    databases = Databases.of(settings, settings.watched_url).watching(named).through_pooler()
    asked = table_of(table) if table else None

    async def look() -> Sequence[Standing]:
        return await standing(databases, named.name, asked)

    try:
        asyncio.run(_watch(look, json=json) if watch else _once(look, json=json))
    except KeyboardInterrupt:
        return 130
    return 0


async def _once(look: Look, *, json: bool) -> None:
    found = await look()
    if json:
        print(orjson.dumps([each.as_json() for each in found], option=orjson.OPT_INDENT_2).decode(), flush=True)
    else:
        showing.show("\n".join(lines(found)))


async def _watch(look: Look, *, json: bool) -> None:
    if json or not sys.stdout.isatty():
        while True:
            await _once(look, json=json)
            await asyncio.sleep(_EVERY)
    with Live(console=Console(highlight=False, emoji=False)) as live:
        while True:
            live.update(Text("\n".join(lines(await look()))))
            await asyncio.sleep(_EVERY)


def lines(found: Sequence[Standing]) -> Iterator[str]:
    """What is shown to people."""
    if not found:
        yield "Nothing is embedded. See 'cdc embed --help'."
    for place, each in enumerate(found):
        if place:
            yield ""
        yield f"{each.declaration.source} -> {each.declaration.target}  {each.life.state}"
        for name, value in _facts(each):
            yield f"  {name:9} {value}"


def _facts(of: Standing) -> Iterator[tuple[str, str]]:
    to, counts = of.declaration, of.counts
    size = f", {to.dimensions:,} dimensions" if to.dimensions else ""
    yield "model", f"{to.model or 'not chosen yet'}{size}"
    if counts is not None:
        about = "" if counts.exact else "~"
        chunks = f" ({about}{counts.vectors:,} chunks)" if to.target_kind == "chunks" else ""
        aside = f", {of.put_aside:,} put aside" if of.put_aside else ""
        yield (
            "rows",
            f"{about}{counts.rows:,}, of which {about}{counts.embedded:,} embedded{chunks}, "
            f"{about}{counts.pending:,} pending{aside}",
        )
    if of.filling is not None:
        yield "backfill", _backfill(of.filling)
    yield "index", _index(of)
    if of.spent is not None:
        cost = "cost unknown" if of.spent.cost is None else f"${of.spent.cost:.4f}"
        partly = (
            f", but for {of.spent.without_price:,} calls of unknown price"
            if of.spent.cost and of.spent.without_price
            else ""
        )
        yield "spent", f"{of.spent.tokens or 0:,} tokens, {cost}{partly}"
    if to.problem:
        yield "problem", to.problem


def _backfill(filling: Filling) -> str:
    share = ""
    if filling.expected and filling.status == "running":
        share = f" of about {filling.expected:,} ({min(1.0, filling.rows / filling.expected):.0%})"
    rate = f", {filling.rate:,.0f} rows/s" if filling.rate and filling.status == "running" else ""
    left = "" if filling.seconds_left is None else f", {_duration(filling.seconds_left)} left"
    reason = f": {filling.reason}" if filling.reason else ""
    return f"{filling.status}, {filling.rows:,} rows{share}{rate}{left}{reason}"


def _index(of: Standing) -> str:
    if of.declaration.index_type == "none":
        return "none is asked for"
    if of.index is not None:
        share = "" if of.index.share is None else f" {of.index.share:.0%}"
        return f"being made: {of.index.phase}{share}"
    reason = f": {of.life.index_reason}" if of.life.index_reason else ""
    return f"{of.declaration.index_type}, {of.life.index_state or 'not begun'}{reason}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
