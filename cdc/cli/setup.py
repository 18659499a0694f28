"""`cdc setup` and `cdc teardown`: make what the service needs in a database, and remove it all."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Iterable
from getpass import getpass

from cdc import config
from cdc.cli.choosing import agreed
from cdc.cli.database import DEFAULT, Source, chosen
from cdc.cli.showing import show
from cdc.service.setup import Report, Wish, set_up
from cdc.service.teardown import Remains, Teardown


def setup(*, role: str | None = None, prune: bool = False, dry_run: bool = False, source: Source = DEFAULT) -> None:
    """Make what the service needs: schemas, publication, slot; with --role a role with no more rights than it needs.

    Run it as somebody who may; what is there already stays. The password of a new role is asked for, or made.

    Args:
        role: the role that the service is to run as; made if there is none.
        prune: publish no more what neither functions nor embeddings nor CDC_TABLES name.
        dry_run: show the SQL and change nothing.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    settings = config.load()
    wish = Wish(role, lambda: _password(role or ""), prune, dry_run)
    report = asyncio.run(set_up(settings, chosen(settings, source), wish))
    if dry_run:
        _show_sql(report.statements)
        return
    _show(report)


def teardown(*, yes: bool = False, dry_run: bool = False, source: Source = DEFAULT) -> int:
    """Remove slot, publication, declarations and state, in this order; tables of vectors and roles stay.

    Args:
        yes: do not ask.
        dry_run: show the SQL and change nothing.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    settings = config.load()
    removing = Teardown(settings, chosen(settings, source))
    remains = asyncio.run(removing.look())
    if dry_run:
        _show_sql(remains.statements)
        return 0
    if remains.is_nothing:
        show("There is nothing to remove.")
        return 0
    show(*_described(remains))
    if not yes and not agreed("Remove all that?"):
        show("Nothing was changed.")
        return 1
    asyncio.run(removing.remove(remains))
    show("It is removed.")
    return 0


def _described(remains: Remains) -> Iterable[str]:
    yield from (f"slot         {slot}" for slot in remains.slots)
    if remains.publication:
        yield f"publication  {remains.publication}"
    yield from (f"schema       {schema}" for schema in remains.schemas)
    if remains.kept and not remains.others:
        kept = remains.kept
        yield f"with it go {kept.runs:,} runs, {kept.unfinished:,} of them unfinished, and {kept.events:,} events"
    if remains.others:
        yield f"The state stays, as it is that of {', '.join(remains.others)}, too."
    if remains.targets:
        yield f"Vectors stay where they are: {', '.join(remains.targets)}."


def _show(report: Report) -> None:
    for kind, lines in (("made", report.made), ("there", report.there), ("to do", report.left)):
        show(*(f"{kind:6} {line}" for line in lines))


def _show_sql(statements: Iterable[str]) -> None:
    for statement in statements:
        print(f"{statement};")


def _password(role: str) -> str:
    """What a person types; where there is none, or nothing is typed, one that is made and shown once."""
    given = getpass(f"Password for the new role {role} (empty: one is made): ") if sys.stdin.isatty() else ""
    if not given:
        given = secrets.token_urlsafe(24)
        show(f"The password of {role} is {given}", "It is not shown again.")
    return given
