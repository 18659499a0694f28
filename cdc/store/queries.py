"""Loads sql/queries: one statement a file, its path is its name."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import LiteralString

from psycopg import sql

_PACKAGE = Path(__file__).resolve().parent.parent
SQL = _PACKAGE / "sql" if (_PACKAGE / "sql").is_dir() else _PACKAGE.parent / "sql"
"""Inside the installed package, or beside it in a checkout."""


@cache
def text(name: str) -> LiteralString:
    """The statement `sql/queries/<name>.sql`, such as `runs/claim`, without its header.

    The header names the statement's `{parts}`, too: filled with an identifier that has a line break, a comment would
    end early and the rest of the name be run. These files are ours and carry no user's text, which is what
    LiteralString vouches for.
    """
    lines = (SQL / "queries" / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("--"))


def compose(name: str, **parts: sql.Composable) -> sql.Composed:
    """A statement with `{parts}`, filled with quoted identifiers or with SQL composed of them."""
    return sql.SQL(text(name)).format(**parts)
