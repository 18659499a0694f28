"""Chunks have no more tokens than they may, by the model's own count, and are the same each time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from cdc.ai.errors import ProviderRejected
from cdc.embedding.models import LOCAL, LOCAL_FAST, PACKAGES
from cdc.embedding.providers import minilm, wordllama
from cdc.embedding.splitting import check, split
from cdc.errors import ConfigurationError
from cdc.store.embeddings import Declaration

DECLARED = Declaration(
    id=1,
    table_schema="public",
    table_name="docs",
    columns=("body",),
    target_kind="chunks",
    target_schema="public",
    target_table="docs_chunks",
    target_column="embedding",
    fk=False,
    model="openai/text-embedding-3-small",
    dimensions=None,
    problem=None,
    prepared_at=None,
    chunk_tokens=20,
    chunk_overlap=5,
)
PROSE = "The quick brown fox, as ever, jumps over the lazy dog. " * 40
TOKENIZERS = {LOCAL: minilm.TOKENIZER, LOCAL_FAST: wordllama.TOKENIZER}


@pytest.mark.parametrize("model", TOKENIZERS)
@pytest.mark.parametrize("tokens", [10, 254])
async def test_no_chunk_has_more_tokens_than_it_may(model: str, tokens: int) -> None:
    (chunks,) = await split(replace(DECLARED, model=model, chunk_tokens=tokens), [PROSE])
    counter = Tokenizer.from_buffer(TOKENIZERS[model].read())
    counter.no_truncation()
    counter.no_padding()
    assert len(chunks) > 1
    assert max(len(counter.encode(chunk, add_special_tokens=False).ids) for chunk in chunks) <= tokens


async def test_a_chunk_that_minilm_takes_is_read_to_its_end() -> None:
    (chunks,) = await split(replace(DECLARED, model=LOCAL, chunk_tokens=254), ["word " * 1000])
    counter = Tokenizer.from_buffer(minilm.TOKENIZER.read())
    counter.no_truncation()
    counter.no_padding()
    assert max(len(counter.encode(chunk).ids) for chunk in chunks) == minilm.MAX_TOKENS


async def test_paragraphs_and_sentences_stay_whole_where_they_fit() -> None:
    texts = ["First paragraph, with some words.\n\nSecond paragraph, which also has some words. And a sentence."]
    (chunks,) = await split(replace(DECLARED, chunk_tokens=12, chunk_overlap=0), texts)
    assert chunks == [
        "First paragraph, with some words.",
        "Second paragraph, which also has some words.",
        "And a sentence.",
    ]


async def test_what_overlaps_is_in_both_chunks() -> None:
    (chunks,) = await split(DECLARED, [PROSE.replace(".", "").replace(",", "")])
    for one, next_ in pairwise(map(str.split, chunks)):
        assert any(one[-words:] == next_[:words] for words in (3, 4, 5))


@given(st.lists(st.text(), max_size=3))
async def test_all_but_white_space_is_in_a_chunk(texts: list[str]) -> None:
    """So that a row with any text has a chunk."""
    for text, chunks in zip(texts, await split(replace(DECLARED, chunk_overlap=0), texts), strict=True):
        assert "".join("".join(chunks).split()) == "".join(text.split())
        assert all(chunks)


async def test_the_same_text_has_the_same_chunks() -> None:
    first, second = await split(DECLARED, [PROSE, PROSE])
    assert first == second == (await split(DECLARED, [PROSE]))[0]


async def test_the_event_loop_goes_on_while_a_long_text_is_split() -> None:
    splitting = asyncio.create_task(split(replace(DECLARED, chunk_tokens=400), [PROSE * 20]))
    await asyncio.sleep(0)
    assert not splitting.done()
    assert (await splitting)[0]


async def test_without_its_packages_a_local_model_cannot_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, LOCAL, ("not_installed_here",))
    with pytest.raises(ProviderRejected, match="packages of local/minilm are not installed") as raised:
        await split(replace(DECLARED, model=LOCAL, chunk_tokens=77), [PROSE])
    assert "cdc[local]" in str(raised.value)


@pytest.mark.parametrize(("model", "tokens"), [(LOCAL, 255), ("openai/text-embedding-3-small", 8192)])
def test_more_than_a_model_looks_at(model: str, tokens: int) -> None:
    check(replace(DECLARED, chunk_tokens=tokens - 1), model)
    with pytest.raises(ConfigurationError, match=f"{model} takes texts of {tokens - 1} tokens") as raised:
        check(replace(DECLARED, chunk_tokens=tokens), model)
    assert f"chunk_tokens => {tokens - 1} or less" in raised.value.hint


def test_a_model_of_unknown_size_takes_any() -> None:
    check(replace(DECLARED, chunk_tokens=100_000), "openai/of-our-own")
