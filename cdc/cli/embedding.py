"""`cdc embed`: the commands about what is embedded. A table that is called like one is written with its schema."""

from __future__ import annotations

from cyclopts import App

from cdc.cli.embed import embed as declare

embed = App(name="embed")
embed.default(declare)
embed.command("cdc.cli.embedding_refused:errors", help="List the texts that were put aside, the latest first.")
embed.command("cdc.cli.embedding_refused:retry", help="Try texts again that were put aside.")
