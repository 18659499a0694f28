"""An example of the documentation, its file as it is, on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cdc import Hit, discovery
from cdc.ai.access import Access
from cdc.ai.infer import Models
from tests.ai_server import AIServer
from tests.cluster.harness import serving
from tests.engine.harness import NoEmbeddings

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


class Found(NoEmbeddings):
    """Finds the same whatever it is asked."""

    async def search(self, table: str, words: str, limit: int = 5, **how: Any) -> list[Hit]:
        return [Hit({"id": 7}, {"title": "Cats", "content": f"About {words}"}, similarity=0.9)]


async def test_documents_are_searched_and_a_model_answers_from_them(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = discovery.discover([EXAMPLES / "rag"])
    async with AIServer() as server:
        models = Models({"openai": Access("sk", server.url)})
        async with serving(monkeypatch, *functions.values(), models=models, embeddings=Found()) as cluster:
            found = await cluster.sync()
            server.say_next("On a warm sofa [1].")
            asked = {"id": "q", "name": "chat.message", "ts": 1, "data": {"message": "Where does\na cat sleep?"}}
            ended = await cluster.run("shop-rag-workflow", asked)
        (question,) = server.questions

    assert found["shop-rag-workflow"]["concurrency"] == [{"limit": 10, "scope": "fn"}]
    assert ended.output == {
        "answer": "On a warm sofa [1].",
        "sources": [{"id": 7, "title": "Cats", "similarity": 0.9}],
    }
    assert "[1] Cats\nAbout Where does a cat sleep?" in question.body["messages"][-1]["content"]
    assert ended.calls == [["StepRun tools.search"], ["StepRun vector-search"], ["StepRun answer"], ["completed"]]
