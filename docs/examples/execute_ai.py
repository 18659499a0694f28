"""Models of three providers asked by their own packages; every call is recorded, with its tokens and its cost."""

from typing import Any

from anthropic import AsyncAnthropic
from google import genai
from openai import AsyncOpenAI
from pydantic import BaseModel

SYSTEM = "You are a helpful assistant."


class Person(BaseModel):
    name: str
    email: str
    age: int


async def ask_gemini(prompt: str, system: str = SYSTEM) -> Any:
    async with genai.Client().aio as client:
        return await client.models.generate_content(
            model="gemini-2.5-flash", contents=prompt, config={"system_instruction": system}
        )


async def ask_openai(prompt: str, system: str = SYSTEM) -> Any:
    async with AsyncOpenAI() as client:
        return await client.chat.completions.create(
            model="gpt-4", messages=[{"role": "system", "content": system}, {"role": "user", "content": prompt}]
        )


async def ask_anthropic(prompt: str, system: str = SYSTEM) -> Any:
    async with AsyncAnthropic() as client:
        return await client.messages.create(
            model="claude-sonnet-4-5",
            max_tokens=1024,
            system=system,
            messages=[{"role": "user", "content": prompt}],
        )
