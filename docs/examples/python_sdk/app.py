"""The workflows of ../typescript with FastAPI and Inngest's SDK for Python. PORT=0 takes a free port.

INNGEST_DEV, or INNGEST_API_BASE_URL, INNGEST_EVENT_API_BASE_URL and the keys, say where the service is. The keys of the
providers are read when this file is loaded.
"""

import os
from datetime import timedelta
from typing import Any

import httpx
import inngest
import inngest.fast_api
import uvicorn
from anthropic import AsyncAnthropic
from fastapi import FastAPI
from google import genai
from inngest.experimental.ai.openai import Adapter
from openai import AsyncOpenAI

google = genai.Client(api_key=os.environ["GOOGLE_GENERATIVE_AI_API_KEY"]).aio
openai = AsyncOpenAI()
anthropic = AsyncAnthropic()

SERVICE = os.environ.get("CDC_URL") or os.environ.get("INNGEST_DEV") or "http://127.0.0.1:8288"
SYSTEM = "You are a helpful assistant."
QUESTION = "What is 2 + 2?"

client = inngest.Inngest(app_id="n8n-clone")


def messages(message: str) -> list[Any]:
    return [{"role": "user", "content": f"Write the words to search our documents for: {message}"}]


async def tools_for(message: str) -> str:
    answer = await openai.chat.completions.create(model="gpt-4o", messages=messages(message))
    return answer.choices[0].message.content or ""


async def vector_search(words: str) -> list[dict[str, Any]]:
    """The documents nearest to some words, from the vector store in Postgres."""
    async with httpx.AsyncClient() as http:
        asked = {"table": "documents", "query": words, "limit": 3}
        answer = (await http.post(f"{SERVICE}/v1/search", json=asked)).raise_for_status()
    return [{"title": hit["columns"]["title"], "similarity": hit["similarity"]} for hit in answer.json()["data"]]


@client.create_function(
    fn_id="rag-workflow",
    trigger=inngest.TriggerEvent(event="chat.message"),
    concurrency=[inngest.Concurrency(limit=10)],
)
async def rag_workflow(ctx: inngest.Context) -> dict[str, Any]:
    """What a step found is not looked for again when a later one fails."""
    page = await ctx.step.run("tools.search", tools_for, str(ctx.event.data["message"]))
    found = await ctx.step.run("vector-search", vector_search, page)
    return {"page": page, "found": found}


@client.create_function(
    fn_id="rag-workflow-offloaded",
    trigger=inngest.TriggerEvent(event="chat.message"),
    concurrency=[inngest.Concurrency(limit=10)],
)
async def rag_workflow_offloaded(ctx: inngest.Context) -> dict[str, Any]:
    """The same with the request offloaded: the service asks the model, and the app does not wait for it."""
    model = Adapter(auth_key=os.environ["OPENAI_API_KEY"], model="gpt-4o", base_url=os.environ.get("OPENAI_BASE_URL"))
    asked = {"messages": messages(str(ctx.event.data["message"]))}
    answer: Any = await ctx.step.ai.infer("tools.search", adapter=model, body=asked)
    page = answer["choices"][0]["message"]["content"]
    found = await ctx.step.run("vector-search", vector_search, page)
    return {"page": page, "found": found}


@client.create_function(fn_id="execute-ai", trigger=inngest.TriggerEvent(event="execute/ai"), retries=3)
async def execute(ctx: inngest.Context) -> dict[str, str | None]:
    """Three models, each asked in a step of its own."""
    prompt = str(ctx.event.data.get("prompt", QUESTION))

    async def ask_gemini() -> str | None:
        config: Any = {"system_instruction": SYSTEM}
        return (await google.models.generate_content(model="gemini-2.5-flash", contents=prompt, config=config)).text

    async def ask_openai() -> str | None:
        said: Any = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]
        return (await openai.chat.completions.create(model="gpt-4", messages=said)).choices[0].message.content

    async def ask_anthropic() -> str | None:
        said: Any = [{"role": "user", "content": prompt}]
        claude: Any = {"model": "claude-sonnet-4-5", "max_tokens": 1024, "system": SYSTEM}
        answer = await anthropic.messages.create(messages=said, **claude)
        return "".join(block.text for block in answer.content if block.type == "text")

    return {
        "gemini": await ctx.step.run("gemini-generate-text", ask_gemini),
        "openai": await ctx.step.run("openai-generate-text", ask_openai),
        "anthropic": await ctx.step.run("anthropic-generate-text", ask_anthropic),
    }


@client.create_function(fn_id="greet", trigger=inngest.TriggerEvent(event="db/users.inserted"))
async def greet(ctx: inngest.Context) -> str:
    """Each row that is inserted into `users` starts it."""
    row: Any = ctx.event.data["new"]

    async def greeting() -> str:
        return f"Hello, {row['name']}!"

    said = await ctx.step.run("create-greeting", greeting)
    following = inngest.Event(name="workflow/next-step", data={"workflowId": row["id"], "greeting": said})
    await ctx.step.send_event("trigger-next-workflow", following)
    return said


@client.create_function(fn_id="next-step", trigger=inngest.TriggerEvent(event="workflow/next-step"))
async def next_step(ctx: inngest.Context) -> str:
    async def link() -> str:
        return f"{ctx.event.data['workflowId']}: {ctx.event.data['greeting']}"

    await ctx.step.sleep("wait-for-processing", timedelta(seconds=1))
    return await ctx.step.run("link-nodes", link)


@client.create_function(fn_id="approval", trigger=inngest.TriggerEvent(event="workflow/created"))
async def approval(ctx: inngest.Context) -> dict[str, Any]:
    result = await ctx.step.wait_for_event(
        "wait-for-approval",
        event="workflow/approved",
        timeout=timedelta(hours=24),
        if_exp="event.data.workflowId == async.data.workflowId",
    )
    return {"workflow": ctx.event.data["workflowId"], "approvedBy": result.data["by"] if result else None}


async def work(value: Any) -> Any:
    return value


@client.create_function(
    fn_id="rate-limited-job",
    trigger=inngest.TriggerEvent(event="job/rate-limited"),
    concurrency=[inngest.Concurrency(limit=5, key="event.data.userId")],
)
async def rate_limited_job(ctx: inngest.Context) -> Any:
    """At most five at a time for each user."""
    return await ctx.step.run("work", work, ctx.event.data["userId"])


@client.create_function(
    fn_id="throttled-job",
    trigger=inngest.TriggerEvent(event="job/throttled"),
    throttle=inngest.Throttle(limit=10, period=timedelta(seconds=1)),
)
async def throttled_job(ctx: inngest.Context) -> Any:
    return await ctx.step.run("work", work, ctx.event.data["number"])


RAG: list[inngest.Function[Any]] = [rag_workflow, rag_workflow_offloaded]
WORKFLOWS: list[inngest.Function[Any]] = [execute, greet, next_step, approval, rate_limited_job, throttled_job]

app = FastAPI()
inngest.fast_api.serve(app, client, [*RAG, *WORKFLOWS])


def main() -> None:
    config = uvicorn.Config(app, port=int(os.environ.get("PORT", "8000")), log_level="warning")
    socket = config.bind_socket()
    socket.listen()
    print("listening on", socket.getsockname()[1], flush=True)
    uvicorn.Server(config).run([socket])


if __name__ == "__main__":
    main()
