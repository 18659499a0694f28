"""The examples as a reader runs them: their own files, a real service, providers on loopback.

examples   the folder docs/examples
provider   speaks the wire formats of OpenAI, Anthropic and Gemini; no model is behind it
keys       settings by which the service, and the providers' own packages, ask `provider`
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.service import Settings
from tests.ai_server import AIServer

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


async def printed(script: Path, *arguments: str) -> str:
    """What a script of the examples says."""
    process = await asyncio.create_subprocess_exec(sys.executable, str(script), *arguments, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.fixture
def examples() -> Path:
    return EXAMPLES


@pytest.fixture
async def provider() -> AsyncIterator[AIServer]:
    async with AIServer() as provider:
        yield provider


@pytest.fixture
def keys(provider: AIServer) -> Settings:
    key = "sk-of-the-test"
    return {
        "OPENAI_API_KEY": key,
        "OPENAI_BASE_URL": provider.url,
        "ANTHROPIC_API_KEY": key,
        "ANTHROPIC_BASE_URL": provider.root,
        "GOOGLE_GENERATIVE_AI_API_KEY": key,
        "GOOGLE_GEMINI_BASE_URL": provider.root,
        "GEMINI_BASE_URL": provider.root,
    }
