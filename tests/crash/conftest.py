"""`ledger` is that of a migrated database with a table of rows; `own_postgres` makes a server that a test may stop."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import directory, own_postgres
from tests.crash.ledger import Ledger, open_ledger
from tests.servers import Connect

__all__ = ["directory", "own_postgres"]


@pytest.fixture
async def ledger(migrated_url: str, connect: Connect) -> Ledger:
    return await open_ledger(await connect(migrated_url))
