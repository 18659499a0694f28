"""docs/examples/rag: a question, the documents nearest to it, and an answer that names them."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.acceptance.service import Settings, running
from tests.acceptance.state import runs
from tests.ai_server import AIServer
from tests.examples.conftest import printed
from tests.servers import Connect, Connection
from tests.waiting import eventually


async def embedded(conn: Connection, count: int) -> bool:
    made = await conn.execute("select to_regclass('documents_embeddings') is not null")
    if await made.fetchone() != (True,):
        return False
    return await (await conn.execute("select count(*) from documents_embeddings")).fetchone() == (count,)


async def test_a_question_is_answered_from_the_nearest_documents(
    examples: Path, tmp_path: Path, database_url: str, connect: Connect, provider: AIServer, keys: Settings
) -> None:
    folder = examples / "rag"
    shutil.copy(folder / "rag_workflow.py", tmp_path)
    conn = await connect(database_url)
    settings = {**keys, "DATABASE_URL": database_url, "CDC_EMBED_MODEL": "local-fast/wordllama"}
    async with running(CDC_FUNCTIONS=tmp_path, **settings) as service:
        await conn.execute((folder / "schema.sql").read_bytes())
        await conn.execute((folder / "documents.sql").read_bytes())
        await eventually(lambda: embedded(conn, 4), within=60, what="all documents are embedded")

        provider.say_next("On a warm sofa [1].")
        said = await printed(folder / "ask.py", "Where does a cat like to sleep?", "--url", service.url)

    answer, *sources = said.splitlines()
    assert answer == "On a warm sofa [1]."
    assert len(sources) == 3
    assert sources[0].startswith("[1] Cats (")

    (run,) = [run for run in await runs(conn) if run.function == "rag-workflow"]
    assert run.output["sources"][0]["title"] == "Cats"
    steps = await conn.execute("select id from cdc_state.steps where run_id = %s order by ended_at", [run.id])
    assert [step for (step,) in await steps.fetchall()] == ["tools.search", "vector-search", "answer"]
    (question,) = provider.questions
    assert "[1] Cats\nA cat sleeps" in question.body["messages"][-1]["content"]
    assert question.body["messages"][-1]["content"].endswith("Question: Where does a cat like to sleep?")
