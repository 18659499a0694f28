"""Three providers asked through their own packages: one after the other, side by side, for an object, in a chain.

Keys are OPENAI_API_KEY, ANTHROPIC_API_KEY, and GOOGLE_GENERATIVE_AI_API_KEY or GEMINI_API_KEY. The clients read them
when this file is loaded: a missing one stops the start.
"""

import os

from anthropic import AsyncAnthropic
from anthropic.types import Message
from google import genai
from openai import AsyncOpenAI
from pydantic import BaseModel

from cdc import Context, function

google = genai.Client(api_key=os.environ.get("GOOGLE_GENERATIVE_AI_API_KEY") or os.environ.get("GEMINI_API_KEY")).aio
openai = AsyncOpenAI()
anthropic = AsyncAnthropic()

SYSTEM = "You are a helpful assistant."
QUESTION = "What is 2 + 2?"


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@function("execute-ai", on="execute/ai", retries=3)
async def execute(ctx: Context) -> dict[str, str | None]:
    """Three models, one after the other. A failed call is made again; the answers before it are not asked for again."""
    prompt = ctx.event.data.get("prompt", QUESTION)

    of_gemini = await ctx.step.ai.wrap(
        "gemini-generate-text",
        google.models.generate_content,
        model="gemini-2.5-flash",
        config={"system_instruction": SYSTEM},
        contents=prompt,
    )

    of_openai = await ctx.step.ai.wrap(
        "openai-generate-text",
        openai.chat.completions.create,
        model="gpt-4",
        messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}],
    )

    of_anthropic = await ctx.step.ai.wrap(
        "anthropic-generate-text",
        anthropic.messages.create,
        model="claude-sonnet-4-5",
        max_tokens=1024,
        system=SYSTEM,
        messages=[{"role": "user", "content": prompt}],
    )

    return {
        "gemini": of_gemini.text,
        "openai": of_openai.choices[0].message.content,
        "anthropic": text_of(of_anthropic),
    }


@function("execute-ai-in-parallel", on="execute/ai.in-parallel", retries=3)
async def execute_in_parallel(ctx: Context) -> dict[str, str | None]:
    """The same three at once: it takes as long as the slowest."""
    ask, prompt = ctx.step.ai.wrap, ctx.event.data.get("prompt", QUESTION)
    said = [{"role": "user", "content": prompt}]
    claude = {"model": "claude-sonnet-4-5", "max_tokens": 1024}
    of_gemini, of_openai, of_anthropic = await ctx.group.parallel(
        (
            lambda: ask("gemini", google.models.generate_content, model="gemini-2.5-flash", contents=prompt),
            lambda: ask("openai", openai.chat.completions.create, model="gpt-4", messages=said),
            lambda: ask("anthropic", anthropic.messages.create, **claude, messages=said),
        )
    )
    return {
        "gemini": of_gemini.text,
        "openai": of_openai.choices[0].message.content,
        "anthropic": text_of(of_anthropic),
    }


class Person(BaseModel):
    """What is to be found in a text."""

    name: str
    email: str
    age: int


@function("extract-data", on="data/extract")
async def extract_data(ctx: Context) -> Person | None:
    """An object of your own, made by the provider's structured output."""
    answer = await ctx.step.ai.wrap(
        "extract-structured-data",
        anthropic.messages.parse,
        model="claude-sonnet-4-5",
        max_tokens=1024,
        output_format=Person,
        messages=[{"role": "user", "content": ctx.event.data["text"]}],
    )
    person: Person | None = answer.parsed_output
    return person


@function("stream-response", on="response/stream")
async def stream_response(ctx: Context) -> str | None:
    """A stream is read to its end: the step has the whole answer."""
    answer = await ctx.step.ai.wrap(
        "stream-text",
        google.models.generate_content_stream,
        model="gemini-2.5-flash",
        contents=ctx.event.data["prompt"],
    )
    text: str | None = answer.text
    return text


@function("summarize", on="text/summarize")
async def summarize(ctx: Context) -> dict[str, str | None]:
    """One model's answer is the next one's question."""
    summary = await ctx.step.ai.wrap(
        "summarize",
        openai.chat.completions.create,
        model="gpt-4",
        messages=[{"role": "user", "content": f"Summarize: {ctx.event.data['text']}"}],
    )
    summarized = summary.choices[0].message.content

    keywords = await ctx.step.ai.wrap(
        "extract-keywords",
        google.models.generate_content,
        model="gemini-2.5-flash",
        contents=f"Extract keywords from: {summarized}",
    )
    return {"summary": summarized, "keywords": keywords.text}
