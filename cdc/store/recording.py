"""A connection that remembers what it changes, so that it can be shown as SQL to run by hand."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncClientCursor, AsyncCursor, AsyncTransaction

from cdc.store.bounded import Bounded
from cdc.store.connect import connect

_CHANGES = re.compile(r"(\s|--[^\n]*\n)*(create|alter|drop|grant|comment|insert|update|delete|set)\b", re.IGNORECASE)


class Recording(Bounded):
    """`statements` are those that changed something and were not rolled back to a savepoint, with their values."""

    statements: list[str]

    async def execute(self, query: Any, params: Any = None, **options: Any) -> AsyncCursor[tuple[Any, ...]]:
        """Psycopg's own."""
        done = await super().execute(query, params, **options)
        statement = AsyncClientCursor(self).mogrify(query, params)
        if _CHANGES.match(statement):
            self._recorded().append(statement.strip().rstrip(";"))
        return done

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncIterator[AsyncTransaction]:
        """Psycopg's own."""
        before = len(self._recorded())
        try:
            async with super().transaction(savepoint_name, force_rollback) as transaction:
                yield transaction
        except BaseException:
            del self._recorded()[before:]
            raise

    def _recorded(self) -> list[str]:
        if not hasattr(self, "statements"):
            self.statements = []
        return self.statements


async def recording(url: str, setting: str) -> Recording:
    """An autocommit connection; `setting` is where the URL comes from.

    Raises:
        DatabaseUnreachable, DatabaseRefused, ConfigurationError: as `connect`.
    """
    conn = await connect(url, autocommit=True, prepared=False, setting=setting, made_of=Recording)
    assert isinstance(conn, Recording)
    return conn
