from __future__ import annotations

from decimal import Decimal

import pytest

from cdc.ai.call import Usage
from cdc.ai.price import cost


@pytest.mark.parametrize(
    ("provider", "model", "usage", "dollars"),
    [
        ("openai", "gpt-4o", Usage(1000, 100), "0.0035"),
        ("openai", "gpt-4o-2024-08-06", Usage(1000, 100), "0.0035"),
        ("azure", "gpt-4o", Usage(1000, 100), "0.0035"),
        ("openai", "text-embedding-3-small", Usage(1000), "0.00002"),
        ("gemini", "gemini-embedding-001", Usage(1000), "0.00015"),
        ("voyage", "voyage-3", Usage(1000), "0.00006"),
        ("cohere", "embed-v4.0", Usage(1000), "0.00012"),
    ],
)
def test_a_call_costs_what_its_tokens_do(provider: str, model: str, usage: Usage, dollars: str) -> None:
    assert cost(provider, model, usage) == Decimal(dollars)


def test_cached_input_is_part_of_the_input_and_cheaper() -> None:
    # $2.50 a million of input, half of it read from the cache at $1.25; $10 a million of output.
    assert cost("openai", "gpt-4o", Usage(1000, 100, cached_tokens=500)) == Decimal("0.002875")


def test_writing_to_a_cache_costs_more_than_input() -> None:
    # $3 a million of input, $3.75 written to the cache, $0.30 read from it, $15 of output.
    usage = Usage(1000, 100, cached_tokens=500, cache_write_tokens=100)
    assert cost("anthropic", "claude-sonnet-4-5", usage) == Decimal("0.003225")


def test_thoughts_are_part_of_the_output_and_not_paid_twice() -> None:
    spoken = cost("gemini", "gemini-2.5-flash", Usage(1000, 100))
    assert spoken is not None
    assert cost("gemini", "gemini-2.5-flash", Usage(1000, 100, reasoning_tokens=60)) == spoken


@pytest.mark.parametrize(
    ("provider", "model", "usage"),
    [
        ("openai", "a-model-of-mine", Usage(1000, 100)),
        ("nobody", "gpt-4o", Usage(1000, 100)),
        ("local", "minilm", Usage(1000)),
        ("openai", "whisper-1", Usage(1000, 100)),
        ("openai", "gpt-4o", Usage()),
        ("openai", "gpt-4o", Usage(1000)),
        ("openai", "gpt-4o", Usage(output_tokens=100)),
        ("openai", "text-embedding-3-small", Usage(1000, 100)),
        ("openai", "gpt-4o", Usage(10, 10, cached_tokens=500)),
    ],
)
def test_what_is_not_known_is_none_and_never_zero(provider: str, model: str, usage: Usage) -> None:
    assert cost(provider, model, usage) is None
