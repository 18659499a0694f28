"""What functions and embeddings need, and is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from cdc.service.doctor import CHECKS
from cdc.store import apps
from tests.acceptance.service import cdc
from tests.doctor.examining import bad, examined
from tests.openai_server import OpenAIServer
from tests.servers import Connect, Connection, Servers

T = "create table t (id int primary key)"
DOCS = "create table docs (id int primary key, body text)"


@pytest.fixture
async def conn(migrated_url: str, connect: Connect) -> Connection:
    return await connect(migrated_url)


async def test_a_table_that_is_not_there_yet(migrated_url: str, functions: Path) -> None:
    found = await examined(migrated_url, functions=str(functions))
    assert bad(found) == set()
    assert "public.t: no such table" in found["tables"].says


async def test_a_table_that_is_not_published_yet(conn: Connection, migrated_url: str, functions: Path) -> None:
    await conn.execute(T)
    await conn.execute("create publication p")
    found = await examined(migrated_url, functions=str(functions), publication="p")
    assert bad(found) == set()
    assert found["tables"].state == "warning"
    await conn.execute("alter publication p add table t")
    found = await examined(migrated_url, functions=str(functions), publication="p")
    assert "1 published" in found["tables"].says


async def test_a_table_that_only_its_owner_can_publish(conn: Connection, migrated_url: str, functions: Path) -> None:
    await conn.execute(T)
    role = migrated_url.rpartition("/")[2]
    await conn.execute(f"create role {role} login replication password 'open-sesame'".encode())
    try:
        url = make_conninfo(migrated_url, user=role, password="open-sesame")
        found = await examined(url, functions=str(functions))
    finally:
        await conn.execute(f"drop role {role}".encode())
    assert found["tables"].state == "failed"
    assert "ADD TABLE public.t;" in found["tables"].next


@pytest.mark.parametrize("partitions", ["true", "false"])
async def test_partitions_are_published_at_either_level(
    conn: Connection, migrated_url: str, functions: Path, partitions: str
) -> None:
    await conn.execute("create table t (id int primary key) partition by range (id)")
    await conn.execute("create table t_1 partition of t for values from (0) to (10)")
    await conn.execute(f"create publication p for table t with (publish_via_partition_root = {partitions})".encode())
    found = await examined(migrated_url, functions=str(functions), publication="p")
    assert found["tables"].state == "ok"


async def test_a_table_whose_rows_cannot_be_told_apart(conn: Connection, migrated_url: str, functions: Path) -> None:
    await conn.execute("create table t (id int)")
    found = await examined(migrated_url, functions=str(functions))
    assert bad(found) == {"replica identity"}
    assert "ALTER TABLE public.t REPLICA IDENTITY FULL;" in found["replica identity"].next
    await conn.execute("alter table t replica identity full")
    assert bad(await examined(migrated_url, functions=str(functions))) == set()


async def test_what_is_left_out_and_published_all_the_same(conn: Connection, migrated_url: str) -> None:
    await conn.execute("create table users (id int primary key, secret text)")
    await conn.execute("create publication p for table users")
    settings = {"publication": "p", "tables": "users"}
    assert bad(await examined(migrated_url, **settings)) == set()
    shown = await examined(migrated_url, **settings, exclude="users(secret)")
    assert bad(shown) == {"left out"}
    assert "public.users" in shown["left out"].says
    key = await examined(migrated_url, **settings, exclude="users(id)")
    assert "replica identity" in key["left out"].says
    await conn.execute("alter publication p set table users (id)")
    assert bad(await examined(migrated_url, **settings, exclude="users(secret)")) == set()


async def test_a_publication_for_all_tables(conn: Connection, migrated_url: str) -> None:
    await conn.execute("create publication p for all tables")
    assert bad(await examined(migrated_url, publication="p")) == {"publication"}


async def test_a_publication_of_inserts_only(conn: Connection, migrated_url: str) -> None:
    await conn.execute("create publication p with (publish = 'insert')")
    assert "publish = 'insert, update" in (await examined(migrated_url, publication="p"))["publication"].next


async def test_a_publication_that_is_gone(conn: Connection, migrated_url: str) -> None:
    name = migrated_url.rpartition("/")[2]
    await conn.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [name])
    assert bad(await examined(migrated_url)) == {"publication"}


async def test_a_server_without_pgvector(servers: Servers) -> None:
    server = await servers.get("15")
    url = await server.create_database(migrated=True)
    assert bad(await examined(url)) == set()
    found = await examined(url, embed="docs(body)", embed_model="local-fast/wordllama")
    assert bad(found) == {"pgvector"}
    await server.drop_database(url)


async def test_a_local_model_and_pgvector_are_there(conn: Connection, migrated_url: str) -> None:
    await conn.execute("create extension vector")
    await conn.execute(DOCS)
    await conn.execute("select cdc.embed('docs', array['body'])")
    found = await examined(migrated_url, embed_model="local-fast/wordllama")
    assert bad(found) == set()
    assert "packages are installed" in found["embedding model"].says
    assert found["pgvector"].says.startswith("0.")
    assert "public.docs" in found["tables"].says


async def test_an_embedding_provider_is_really_asked(conn: Connection, migrated_url: str) -> None:
    await conn.execute(DOCS)
    await conn.execute("select cdc.embed('docs', array['body'])")
    model = "embedding model"
    async with OpenAIServer(key="right") as provider:
        found = await examined(migrated_url, openai_api_key="right", openai_base_url=provider.url)
        assert bad(found) == set()
        assert "1536" in found[model].says
        assert provider.inputs == 1
        refused = await examined(migrated_url, openai_api_key="wrong-key", openai_base_url=provider.url)
        url = provider.url
    gone = await examined(migrated_url, openai_api_key="right", openai_base_url=url)
    assert bad(refused) == bad(gone) == {model}
    assert "refused" in refused[model].says
    assert "wrong-key" not in str(refused)
    assert "cannot be reached" in gone[model].says


async def test_a_function_file_that_cannot_be_loaded(migrated_url: str, functions: Path) -> None:
    (functions / "broken.py").write_text("1 / 0\n")
    found = await examined(migrated_url, functions=str(functions))
    assert bad(found) == {"functions"}
    assert "broken.py:1" in found["functions"].says


async def test_the_command_says_it_to_people_and_to_scripts(
    database_url: str, functions: Path, connect: Connect
) -> None:
    well = await cdc("doctor", DATABASE_URL=database_url)
    assert well.code == 0, well.err
    assert "wal_level" in well.out
    await (await connect(database_url)).execute("create table t (id int)")
    ill = await cdc("doctor", "--json", DATABASE_URL=database_url, CDC_FUNCTIONS=functions)
    assert ill.code == 1
    assert '{"check":"replica identity","state":"failed"' in ill.out
    password = database_url.partition("@")[0].rpartition(":")[2]
    assert password not in well.out + well.err + ill.out + ill.err


async def test_every_check_is_made_and_documented(database_url: str) -> None:
    assert tuple(await examined(database_url)) == CHECKS
    operations = Path(__file__).parents[2] / "docs" / "operations.md"
    section = operations.read_text(encoding="utf-8").partition("## The doctor")[2].partition("\n## ")[0]
    assert [check for check in CHECKS if f"`{check}`" not in section] == []


async def test_what_became_of_embeddings(conn: Connection, migrated_url: str) -> None:
    checks = ("vector indexes", "retired embeddings", "refused texts")
    await conn.execute("create extension vector")
    await conn.execute(DOCS)
    await conn.execute("select cdc.embed('docs', array['body'])")
    await conn.execute("create table docs_embeddings (id bigint, embedding vector(256))")
    await conn.execute("update cdc.embeddings set prepared_at = now(), model = 'local-fast/wordllama'")

    async def states() -> list[str]:
        found = await examined(migrated_url, embed_model="local-fast/wordllama")
        return [found[check].state for check in checks]

    assert await states() == ["ok", "ok", "ok"]
    await conn.execute("insert into cdc.embedding_errors (embedding_id, key, hash, reason) values (1, '[1]', '', 'no')")
    await conn.execute("update cdc.embeddings set index_state = 'ready'")
    assert await states() == ["warning", "ok", "warning"]
    await conn.execute("create index on docs_embeddings using hnsw (embedding vector_cosine_ops)")
    assert await states() == ["ok", "ok", "warning"]
    await conn.execute("update cdc.embeddings set index_state = 'failed', index_reason = 'no disk'")
    await conn.execute("update cdc.embeddings set live_at = null, retired_at = now() - interval '8 days'")
    assert await states() == ["warning", "warning", "warning"]


async def test_what_became_of_events_that_are_sent_on(conn: Connection, migrated_url: str) -> None:
    async def finding() -> tuple[str, str]:
        found = (await examined(migrated_url, forward="inngest", inngest_dev="1"))["forwarding"]
        return found.state, found.says

    assert (await examined(migrated_url))["forwarding"].says == "events are not sent on"
    assert await finding() == ("ok", "0 events to http://127.0.0.1:8288")
    await conn.execute(
        "insert into cdc_state.sources (name, system_identifier, timeline, slot) values ('default', '1', 1, 'cdc')"
    )
    await conn.execute(
        "insert into cdc_state.checkpoints (source_id, commit_lsn, ordinal, end_lsn) values (1, '0/1', 0, '0/1')"
    )
    await conn.execute("insert into cdc_state.forwards (source_id, place, sent) values (1, gen_random_uuid(), 7)")
    assert await finding() == ("ok", "7 events to http://127.0.0.1:8288")
    await conn.execute("update cdc_state.forwards set refused = 2")
    assert await finding() == ("warning", "2 events were refused for good")
    await conn.execute("update cdc_state.forwards set error = 'HTTP 401'")
    assert await finding() == ("warning", "http://127.0.0.1:8288 does not take them: HTTP 401")
    await conn.execute("update cdc_state.forwards set lost = 3")
    assert (await finding())[0] == "failed"


async def test_an_app_that_could_not_be_synced(conn: Connection, migrated_url: str) -> None:
    known = await apps.add(conn, "http://localhost:3000/api/inngest")
    assert (await examined(migrated_url))["apps"].state == "ok"
    await apps.fail(conn, known, "The app answered 404.")
    found = (await examined(migrated_url))["apps"]
    assert (found.state, found.says) == ("warning", "http://localhost:3000/api/inngest: The app answered 404.")
