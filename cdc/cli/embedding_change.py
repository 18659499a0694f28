"""`cdc embed change` and `cdc embed drop`: another model, and the end of vectors that are not needed any more."""

from __future__ import annotations

import asyncio
from typing import Literal

from rich import print as say

from cdc import config
from cdc.cli.database import DEFAULT, Source, database_url
from cdc.cli.slot import agreed
from cdc.errors import ConfigurationError
from cdc.service import embedding_change as service


def change(
    table: str,
    *,
    model: str,
    dimensions: int | None = None,
    vector_type: Literal["vector", "halfvec"] | None = None,
    into: str | None = None,
    to: str | None = None,
    source: Source = DEFAULT,
) -> None:
    """Embed a table with another model, and switch searches over when all rows are done.

    The vectors go to a new table or column, which the running service fills in the background and indexes. Until it
    switches, searches read the old one; both are kept up to date until you drop the old one. What is embedded stays the
    same.

    Args:
        table: the table, with its schema when that is not public.
        model: the new model, such as 'openai/text-embedding-3-large'.
        dimensions: how many, where the model leaves that open.
        vector_type: the type of the vectors. Without it, what suits the dimensions.
        into: the target whose place is taken, when the table has several.
        to: the new table or column. Without it, it is called like the old one, with a number.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    settings = config.load()
    url = database_url(settings, source)
    old, new = asyncio.run(
        service.change(settings, url, table, model, dimensions=dimensions, vector_type=vector_type, into=into, to=to)
    )
    named = old.target_column if old.target_kind == "column" else old.target_table
    say(f"{new.target} is filled by {model}, and takes the place of {old.target} when it is done.")
    say(
        f"'cdc embed status {table}' shows how far it is. To drop the old one then: "
        f"cdc embed drop {table} --into {named}"
    )


def drop(
    table: str, *, into: str | None = None, yes: bool = False, force: bool = False, source: Source = DEFAULT
) -> int:
    """Stop keeping vectors, and drop the table or column that they are in. 'cdc unembed' keeps it.

    Args:
        table: the table that is embedded, with its schema when that is not public.
        into: the target to drop, when the table has several.
        yes: do not ask.
        force: even the one that searches read.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    url = database_url(config.load(), source)
    declaration, life = asyncio.run(service.doomed(url, table, into))
    what = "column" if declaration.target_kind == "column" else "table"
    if life.state == "live" and not force:
        raise ConfigurationError(
            f"Searches of {declaration.source} read {declaration.target}.",
            hint="Have another one take its place first: cdc embed change; or drop it with --force.",
        )
    if not yes and not agreed(f"Drop the {what} {declaration.target} with all its vectors? [y/N] "):
        say("Nothing was changed.")
        return 1
    asyncio.run(service.drop(url, declaration))
    say(f"The {what} {declaration.target} is dropped, and not kept any more.")
    return 0
