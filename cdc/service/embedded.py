"""The embeddings of all sources, as the API speaks of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from cdc.errors import CdcError
from cdc.service import embedding_status
from cdc.service.databases import Databases
from cdc.service.named import Named
from cdc.store import refused
from cdc.store.failures import StatementFailed


class Embedded:
    """Implements `cdc.web.site.Embedded`. `databases`: the state, whatever is watched; `named`: what is now."""

    def __init__(self, databases: Databases, named: Callable[[], Sequence[Named]]) -> None:
        self._databases = databases
        self._named = named

    async def standing(self, table: str | None, /) -> Sequence[dict[str, Any]]:
        """See the protocol."""
        return await embedding_status.of_all(self._databases, self._named(), table)

    async def put_aside(self, limit: int, /) -> Sequence[dict[str, Any]]:
        """See the protocol. Of a source that cannot be asked `standing` tells."""
        found: list[dict[str, Any]] = []
        for named in self._named():
            with suppress(StatementFailed, CdcError):
                async with await self._databases.watching(named).to_watched() as conn:
                    rows = await refused.listed(conn, None, None, limit)
                found += [{**row._asdict(), "table": row.source, "source": named.name} for row in rows]
        return found

    async def retry(self, source: str | None, table: str, target: str | None, key: str | None, /) -> int | None:
        """See the protocol. Without a name it is the first source."""
        chosen = next((each for each in self._named() if source in (None, each.name)), None)
        if chosen is None:
            return None
        async with await self._databases.watching(chosen).to_watched() as conn:
            return await refused.retry(conn, table, target, key)
