"""Each document is embedded, title and content, as soon as its row is inserted."""

from cdc import Context, function

MODEL = "openai/text-embedding-3-small@512"


async def embed(ctx: Context, text: str) -> list[float]:
    (vector,) = await ctx.embeddings.embed(MODEL, [text])
    if isinstance(vector, Exception):
        raise vector
    return [float(number) for number in vector]


async def store(ctx: Context, id: int, vector: list[float]) -> None:
    statement = "UPDATE documents SET embedding = %s::vector, processed_at = now() WHERE id = %s"
    async with ctx.db.connection() as conn:
        await conn.execute(statement, [str(vector), id])


@function("generate-document-embedding", on="db/documents.inserted")
async def generate_document_embedding(ctx: Context) -> dict[str, object]:
    document = ctx.event.data["new"]
    text = f"{document['title']}\n\n{document['content']}"
    vector = await ctx.step.run("Generate embedding", embed, ctx, text)
    await ctx.step.run("Store embedding", store, ctx, document["id"], vector)
    return {"id": document["id"], "status": "embedding_generated"}
