"""docs/examples/auto_embedding: a document's vector by a function of twenty lines, and by a declaration."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.acceptance.service import Settings, running
from tests.acceptance.state import completed, follows
from tests.ai_server import AIServer
from tests.openai_server import unit_vectors
from tests.servers import Connect, Connection
from tests.waiting import eventually

TITLE, CONTENT = "Cats", "They sleep on the sofa."
INSERT = "insert into documents (title, content) values (%s, %s) returning id"
VECTOR = unit_vectors([f"{TITLE}\n\n{CONTENT}"], 512)[0]


@pytest.fixture
def folder(examples: Path) -> Path:
    return examples / "auto_embedding"


@pytest.fixture
def settings(database_url: str, keys: Settings) -> Settings:
    return {"DATABASE_URL": database_url, **keys}


async def inserted(conn: Connection) -> int:
    row = await (await conn.execute(INSERT, [TITLE, CONTENT])).fetchone()
    assert row is not None
    return int(row[0])


async def stored(conn: Connection) -> Any:
    """The vector, once there is one."""

    async def vector() -> Any:
        row = await (await conn.execute("select embedding::float4[] from documents")).fetchone()
        return row and row[0]

    return np.array(await eventually(vector, within=60, what="a vector"))


async def test_the_function_stores_the_vector_of_title_and_content(
    folder: Path, tmp_path: Path, settings: Settings, connect: Connect, provider: AIServer
) -> None:
    shutil.copy(folder / "generate_document_embedding.py", tmp_path)
    conn = await connect(str(settings["DATABASE_URL"]))
    await conn.execute((folder / "schema.sql").read_bytes())
    async with running(CDC_FUNCTIONS=tmp_path, **settings):
        await follows(conn, "documents")
        number = await inserted(conn)
        (run,) = await completed(conn)
        steps = await conn.execute("select id from cdc_state.steps order by ended_at")
        assert [step for (step,) in await steps.fetchall()] == ["Generate embedding", "Store embedding"]

    assert run.output == {"id": number, "status": "embedding_generated"}
    assert np.allclose(await stored(conn), VECTOR, atol=1e-6)
    assert await (await conn.execute("select processed_at is not null from documents")).fetchone() == (True,)
    assert provider.seen == [f"{TITLE}\n\n{CONTENT}"]


async def test_the_declaration_does_without_a_function(
    folder: Path, settings: Settings, connect: Connect, provider: AIServer
) -> None:
    conn = await connect(str(settings["DATABASE_URL"]))
    await conn.execute((folder / "schema.sql").read_bytes())
    async with running(**settings):
        await conn.execute((folder / "declared.sql").read_bytes())
        await inserted(conn)
        assert np.allclose(await stored(conn), VECTOR, atol=1e-6)


def test_the_function_has_fewer_than_twenty_lines_of_code(folder: Path) -> None:
    module = ast.parse((folder / "generate_document_embedding.py").read_text())
    statements = [node for node in ast.walk(module) if isinstance(node, ast.stmt)]
    assert len(statements) < 20
    code = [line for node in module.body[1:] for line in ast.unparse(node).splitlines()]
    assert len([line for line in code if line]) < 20
