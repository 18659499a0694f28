"""Apps with the official SDK on a service that runs, added from a shell."""

from __future__ import annotations

from tests.acceptance.service import cdc, refused, running
from tests.acceptance.state import completed, follows
from tests.remote.apps import serving
from tests.servers import Connect

ELSEWHERE = "http://127.0.0.1:9/api/inngest"


async def test_an_app_is_added_synced_started_by_rows_listed_and_removed_from_a_shell(
    database_url: str, connect: Connect
) -> None:
    conn = await connect(database_url)
    for table in ("orders", "invoices"):
        await conn.execute(f"create table {table} (id int primary key generated always as identity)".encode())
    async with serving() as app, running(DATABASE_URL=database_url) as service:
        app.deploy(service.url, "bill", on="db/orders.inserted")
        added = await cdc("apps", "add", app.url, DATABASE_URL=database_url)
        assert (added.code, added.out) == (0, "shop is synced, with 1 functions: shop-bill\n")
        await follows(conn, "orders")
        app.deploy(service.url, "bill", "ship", on="db/invoices.inserted")
        synced = await cdc("apps", "sync", "shop", DATABASE_URL=database_url)
        assert "shop-bill, shop-ship" in synced.out
        await follows(conn, "invoices")
        await conn.execute("insert into invoices default values")
        await completed(conn, 2)
        away = await cdc("apps", "add", ELSEWHERE, DATABASE_URL=database_url)
        assert away.code == 1
        assert "refuses connections" in away.out
        listed = await cdc("apps", "list", DATABASE_URL=database_url)
        assert "shop-bill, shop-ship" in listed.out
        assert "refuses connections" in listed.out
        assert (await cdc("apps", "remove", "shop", DATABASE_URL=database_url)).code == 0
        left = await conn.execute("select id from cdc_state.functions where app is not null and archived_at is null")
        assert await left.fetchall() == []
    await refused(
        "apps", "sync", "shop", DATABASE_URL=database_url, code=78, says="no app 'shop'", hint="cdc apps list"
    )
    await refused("apps", "add", "shop", DATABASE_URL=database_url, code=78, says="no URL", hint="api/inngest")
