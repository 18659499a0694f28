"""`cdc embed`: the commands about what is embedded. A table that is called like one is written with its schema."""

from __future__ import annotations

from cyclopts import App

from cdc.cli.embed import embed as declare

embed = App(name="embed")
embed.default(declare)
embed.command(
    "cdc.cli.embedding_status:status",
    help="Show every declared embedding: model, how many rows have their vectors, index, cost, and what is wrong.",
)
embed.command(
    "cdc.cli.embedding_change:change",
    help="Embed a table with another model, and switch searches over when all rows are done.",
)
embed.command(
    "cdc.cli.embedding_change:drop", help="Stop keeping vectors, and drop the table or column that they are in."
)
embed.command("cdc.cli.embedding_refused:errors", help="List the texts that were put aside, the latest first.")
embed.command("cdc.cli.embedding_refused:retry", help="Try texts again that were put aside.")
