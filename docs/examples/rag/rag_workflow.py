"""Answers a chat message from the documents nearest to it, and says which these were."""

import os

from cdc import Context, Hit, function

MODEL = os.environ.get("RAG_MODEL", "openai/gpt-4o-mini")
SYSTEM = "Answer from these documents only, and name the numbers of those you used. If they do not say, say so."


def search_words(message: str) -> str:
    """What to search for: the message itself, on one line. A place for tools of your own."""
    return " ".join(message.split())


def prompt(message: str, sources: list[Hit]) -> str:
    documents = [f"[{n}] {hit.columns['title']}\n{hit.columns['content']}" for n, hit in enumerate(sources, 1)]
    return "\n\n".join([*documents, f"Question: {message}"])


@function("rag-workflow", on="chat.message", concurrency=10)
async def rag_workflow(ctx: Context) -> dict[str, object]:
    message = ctx.event.data["message"]
    words = await ctx.step.run("tools.search", search_words, message)
    sources = await ctx.step.run("vector-search", ctx.embeddings.search, "documents", words, 3)
    answer = await ctx.step.ai.infer("answer", model=MODEL, system=SYSTEM, prompt=prompt(message, sources))
    return {
        "answer": answer,
        "sources": [
            {"id": hit.key["id"], "title": hit.columns["title"], "similarity": hit.similarity} for hit in sources
        ],
    }
