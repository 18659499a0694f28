"""Objects of the providers' packages as JSON, and back: what a step keeps of them and gives to the replayed handler.

Objects are rebuilt without being checked, as the packages themselves build them: what a provider adds tomorrow is
kept. Only the author's own classes, in which structured output was parsed, are checked again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from cdc.ai import streams
from cdc.ai.classes import loaded, name_of

_PACKAGES = ("openai", "anthropic", "google.genai")
_TAG = "$object"
_UNKEPT = {"sdk_http_response"}
"""Headers and the like, which are of the connection and not of the answer."""

_CLASSES = {
    streams.CHAT: "openai.types.chat:ChatCompletion",
    streams.RESPONSES: "openai.types.responses:Response",
    streams.MESSAGES: "anthropic.types:Message",
    streams.CONTENT: "google.genai.types:GenerateContentResponse",
}

Path = tuple[str | int, ...]


def comes_from_a_package(thing: object) -> bool:
    """Whether its class is one of the three packages', or a generator runs in one of their functions."""
    frame = getattr(thing, "gi_frame", None) or getattr(thing, "ag_frame", None)
    module = frame.f_globals.get("__name__", "") if frame is not None else _plain_class(type(thing)).__module__
    return _is_packages(module)


def _is_packages(module: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in _PACKAGES)


def dump(result: object) -> dict[str, Any] | None:
    """An object of a provider's package as JSON that `restore` knows; None for any other value."""
    if not isinstance(result, BaseModel) or not comes_from_a_package(result):
        return None
    data, owned = plain(result), []
    for path, thing in _foreign(result, ()):
        document = thing.model_dump(mode="json")
        _put(data, path, document)
        if loaded(name_of(type(thing))) is type(thing):
            owned.append({"path": list(path), "class": name_of(type(thing)), "data": document})
    return {_TAG: name_of(_plain_class(type(result))), "owned": owned, "data": data}


def restore(document: Any) -> Any:
    """The object of a dump; any other JSON value as it is."""
    if not isinstance(document, dict) or document.keys() != {_TAG, "owned", "data"}:
        return document
    result = _built(_class(document[_TAG]), document["data"])
    for owned in document["owned"]:
        if (cls := loaded(owned["class"])) is not None:
            _put(result, owned["path"], cls.model_validate(owned["data"]))
    return result


def plain(thing: BaseModel) -> dict[str, Any]:
    """An object of a package as its provider's JSON."""
    # The parsed part is of a class that the package does not know: it is kept apart, and no reason to warn.
    return thing.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=_UNKEPT, warnings=False)


def of_form(form: streams.Form, document: dict[str, Any]) -> Any:
    """The object that the package would have made of an answer in this form."""
    return _built(_class(_CLASSES[form]), document)


def _built(cls: type[BaseModel], document: dict[str, Any]) -> Any:
    if cls.__module__.startswith("google."):
        # Google's classes hold enums and bytes, which only its own validation makes; not so what is parsed.
        result = cls.model_validate({name: value for name, value in document.items() if name != "parsed"})
        if "parsed" in document:
            result.__dict__["parsed"] = document["parsed"]
        return result
    return cls.model_construct(**document)


def _plain_class(cls: type) -> type:
    """`ParsedMessage` for `ParsedMessage[Person]`, whose module is that of whoever wrote it so."""
    generic = getattr(cls, "__pydantic_generic_metadata__", None) or {}
    origin = generic.get("origin")
    return origin if isinstance(origin, type) else cls


def _class(name: str) -> Any:
    """A class of a package; the package is imported, nothing else ever is.

    Raises:
        ValueError: it is of another module.
    """
    module, _, _ = name.partition(":")
    if not _is_packages(module):
        raise ValueError(f"{module} is no module of a provider's package")
    import_module(module)
    return loaded(name)


def _foreign(thing: Any, path: Path) -> Iterator[tuple[Path, BaseModel]]:
    """The author's own objects inside an object of a package, and where they are."""
    if isinstance(thing, BaseModel):
        if not comes_from_a_package(thing):
            yield path, thing
            return
        inside: Any = thing.__dict__.items()
    elif isinstance(thing, list):
        inside = enumerate(thing)
    else:
        return
    for key, value in inside:
        if isinstance(value, BaseModel | list):
            yield from _foreign(value, (*path, key))


def _put(root: Any, path: Sequence[str | int], value: Any) -> None:
    """Set what is at a path through JSON, or through objects without asking them."""
    *way, last = path
    thing: Any = root
    for key in way:
        thing = getattr(thing, str(key)) if isinstance(thing, BaseModel) else thing[key]
    inside: Any = thing.__dict__ if isinstance(thing, BaseModel) else thing
    inside[last] = value
